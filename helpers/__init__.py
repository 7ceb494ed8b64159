"""Spectra of weights and kernels: the tested functions behind the chapters of this book.

The rooms, in the order in which data flow. `activations` are normalized, so that every size of a network is a choice.
`networks` and `data` make what is trained, `encoders` networks for text. `training` trains it with any optimizer and
keeps a history. `spectra` and `kernels` say what became of weights and of features: values and vectors, what left the
bulk, tails; conjugate and tangent kernel and their alignment with labels. `operators` and `lanczos` do the same where a
matrix does not fit. `laws` draws theory over all of it, and `measure` puts a training in one row. `monitor` watches any
model of yours while it trains. `sweeps`, `claims`, `plots`, `tables` and `interactive` serve the pages.
"""
