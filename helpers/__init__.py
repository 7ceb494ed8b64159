"""Spectra of weights and kernels: the tested functions behind the chapters of this book."""
