"""The tensors of a checkpoint on disk, one at a time: safetensors, torch's own files, shards of both, LoRA adapters."""

import functools
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

# How safetensors calls the numbers that are read here.
_FLOATS = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
FLOATS = tuple(_FLOATS.values())
# What holds no weights: positions, masks, counters. Integers of other types, and float8, are codes of packed weights.
_PLAIN = ("int64", "bool")

_WHOLE = ("model.safetensors.index.json", "model.safetensors", "pytorch_model.bin.index.json", "pytorch_model.bin")
_ENDINGS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")
_INSIDE = ("state_dict", "model_state_dict", "model", "module", "net")  # where a file keeps its weights beside others
_WRAPPERS = re.compile(r"^(?:(?:module|_orig_mod)\.)+")  # of data-parallel and compiled models
_ADAPTER = re.compile(r"(.+)\.lora_(embedding_)?([AB])(?:\.default)?(?:\.weight)?")


class UnreadableError(ValueError):
    """No checkpoint, a broken one, or one of a kind that is not read; the message is one line."""


@dataclass(frozen=True)
class Entry:
    """A tensor that is read when it is asked for."""

    dtype: str  # as torch calls it
    shape: tuple[int, ...]
    load: Callable[[], Tensor]


def dtype(entry: Entry) -> torch.dtype:
    return getattr(torch, entry.dtype)


def tensors(path: Path) -> dict[str, Entry]:
    """Every tensor of a file, of an index of shards, or of a folder that holds one of these."""
    if path.is_dir():
        return tensors(_file_in(path))
    if not path.is_file():
        raise UnreadableError(f"{path}: there is no such file or folder")
    if path.name.endswith(".index.json"):
        found = _shards(path)
    elif path.suffix == ".safetensors":
        found = _safetensors(path)
    else:
        found = _torch(path)
    return {_WRAPPERS.sub("", name): entry for name, entry in found.items()}


def _file_in(folder: Path) -> Path:
    named = [folder / name for name in _WHOLE if (folder / name).is_file()]
    others = sorted(path for path in folder.iterdir() if path.suffix in _ENDINGS)
    if not named and len(others) != 1:
        many = f"{len(others)} files and no index" if others else "no checkpoint"
        raise UnreadableError(f"{folder}: got {many}, expected one of {', '.join(_WHOLE)}, or a single file")
    return (named or others)[0]


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UnreadableError(f"{path}: not readable as JSON ({_first_line(error)})") from error


def _shards(index: Path) -> dict[str, Entry]:
    content = _json(index)
    places = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(places, dict) or not places or not all(isinstance(place, str) for place in places.values()):
        raise UnreadableError(
            f"{index}: got no weight_map of names to files, expected the index of a sharded checkpoint"
        )
    for place in places.values():
        if not (index.parent / place).is_file():
            raise UnreadableError(f"{index.parent / place}: there is no such file, and {index.name} names it")
    shards = {place: tensors(index.parent / place) for place in dict.fromkeys(places.values())}
    found = {}
    for name, place in places.items():
        entry = shards[place].get(_WRAPPERS.sub("", name))
        if entry is None:
            raise UnreadableError(f"{index.parent / place}: lacks {name}, which {index.name} says is there")
        found[name] = entry
    return found


def _safetensors(path: Path) -> dict[str, Entry]:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise ImportError("a .safetensors file needs the package safetensors: pip install safetensors") from error

    def load(name: str) -> Tensor:
        with safe_open(path, framework="pt") as file:
            return file.get_tensor(name)

    found = {}
    try:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 a file is no mapping
                part = file.get_slice(name)
                kind = part.get_dtype()
                known = _FLOATS.get(kind) or {"I64": "int64", "BOOL": "bool"}.get(kind, kind.lower())
                found[name] = Entry(known, tuple(part.get_shape()), functools.partial(load, name))
    except (SafetensorError, OSError) as error:
        raise UnreadableError(f"{path}: broken, or no file of safetensors ({_first_line(error)})") from error
    return found


def _torch(path: Path) -> dict[str, Entry]:
    content = _state(_unpickled(path))
    if not content:
        raise UnreadableError(
            f"{path}: got no tensors by name, expected what torch.save(model.state_dict(), ...) writes"
        )
    found, listed = {}, set()
    for name, tensor in content.items():
        place = (tensor.data_ptr(), tuple(tensor.shape)) if tensor.layout == torch.strided else None
        if place is None or not place[0] or place not in listed:  # a weight that layers share is listed once
            listed.add(place)
            kind = str(tensor.dtype if tensor.layout == torch.strided else tensor.layout).removeprefix("torch.")
            found[str(name)] = Entry(kind, tuple(tensor.shape), functools.partial(Tensor.detach, tensor))
    return found


def _unpickled(path: Path) -> Any:
    """The content of a file of torch; its numbers stay on disk until they are used, where its format allows that."""
    try:
        try:
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError as error:
            if "mmap" not in str(error):
                raise
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of many kinds, from a broken archive to a pickle that is refused
        expected = "expected what torch.save(model.state_dict(), ...) writes"
        raise UnreadableError(f"{path}: broken, or holds more than tensors; {expected}") from error


def _state(content: Any) -> dict[str, Tensor]:
    """The tensors by name: of the content itself, or of the part where a training keeps the weights."""
    if not isinstance(content, Mapping):
        return {}
    if held := {name: value for name, value in content.items() if isinstance(value, Tensor)}:
        return held
    return next(filter(None, (_state(content[part]) for part in _INSIDE if part in content)), {})


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


# Which of them are matrices


def matrices(found: Mapping[str, Entry]) -> tuple[dict[str, Entry], dict[str, str]]:
    """The weight matrices, each as (rows, columns), in natural order; and why each other one with two axes is none.

    The kernel axes of a convolution are joined to its inputs. The one matrix of queries, keys and values of
    nn.MultiheadAttention comes apart, as in `spectra.weight_matrices`.
    """
    packed = {_stem(name) for name, entry in found.items() if _is_packed(entry)}
    good, others = {}, {}
    for name in sorted(found, key=_natural):
        entry = found[name]
        if len(entry.shape) < 2 and not _is_packed(entry):
            continue
        if entry.dtype not in FLOATS:
            kind = f"{entry.dtype}, codes of packed or quantized weights" if _is_packed(entry) else entry.dtype
            others[name] = f"{kind}; expected {', '.join(FLOATS)}"
        elif any(name == stem or name.startswith(f"{stem}.") for stem in packed):
            others[name] = "belongs to packed or quantized weights"
        elif math.prod(entry.shape) == 0:
            others[name] = f"empty, {entry.shape}"
        elif name.endswith("in_proj_weight") and entry.shape[0] == 3 * entry.shape[1]:
            for k, part in enumerate("qkv"):
                third = functools.partial(lambda entry, k: entry.load().chunk(3)[k], entry, k)
                good[name.replace("in_proj_weight", f"{part}_proj_weight")] = Entry(
                    entry.dtype, (entry.shape[1], entry.shape[1]), third
                )
        else:
            flat = functools.partial(lambda entry: entry.load().flatten(1), entry)
            good[name] = Entry(entry.dtype, (entry.shape[0], math.prod(entry.shape[1:])), flat)
    return good, others


def _is_packed(entry: Entry) -> bool:
    return entry.dtype not in (*FLOATS, *_PLAIN) and not entry.dtype.startswith("complex")


def _stem(name: str) -> str:
    """The layer of a packed tensor, whose scales and zeros belong to it: `x` of x.qweight and of x.weight.absmax."""
    return re.sub(r"\.(?:weight\..+|[^.]+)$", "", name)


def _natural(name: str) -> list[tuple[int, str]]:
    """Layer 2 before layer 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in name.split(".")]


def named(name: str, names: Iterable[str]) -> str | None:
    """The same name in another checkpoint: as it is, or the only one that differs by a prefix such as `model.`."""
    names = list(names)
    if name in names:
        return name
    if "." not in name:
        return None
    longer = [other for other in names if other.endswith(f".{name}")]
    shorter = [other for other in names if "." in other and name.endswith(f".{other}")]
    return longer[0] if len(longer) == 1 else max(shorter, key=len) if shorter and not longer else None


# Adapters


def is_adapter(path: Path) -> bool:
    return (path / "adapter_config.json").is_file()


def merged(folder: Path, base: Mapping[str, Entry]) -> dict[str, Entry]:
    """The tensors of a base that a LoRA adapter changes, with the change: W + scale B A, as peft merges them."""
    config = _json(folder / "adapter_config.json")
    if not isinstance(config, dict) or str(config.get("peft_type", "LORA")).upper() != "LORA" or config.get("use_dora"):
        raise UnreadableError(f"{folder}: got an adapter of another kind, expected plain LoRA")
    files = [folder / f"adapter_model{ending}" for ending in (".safetensors", ".bin")]
    parts: dict[tuple[str, bool], dict[str, Entry]] = {}
    found = {}
    for name, entry in tensors(next(filter(Path.is_file, files), files[0])).items():
        name = name.removeprefix("base_model.model.")
        if pair := _ADAPTER.fullmatch(name):
            parts.setdefault((pair[1], bool(pair[2] or config.get("fan_in_fan_out"))), {})[pair[3]] = entry
        elif ".lora_" in name:
            raise UnreadableError(f"{folder}: got {name}, expected plain LoRA, with lora_A and lora_B alone")
        elif (target := named(re.sub(r"\.modules_to_save(\.default)?", "", name), base)) is not None:
            found[target] = entry  # trained as a whole
    for (module, turned), pair in parts.items():
        target = named(f"{module}.weight", base)
        if target is None:
            raise UnreadableError(f"{folder}: changes {module}.weight, which the start does not have")
        found[target] = _changed(folder, module, base[target], pair, config, turned)
    if not found:
        raise UnreadableError(f"{folder}: got no lora_A and lora_B, expected a LoRA adapter")
    return found


def _changed(
    folder: Path, module: str, base: Entry, pair: dict[str, Entry], config: dict[str, Any], turned: bool
) -> Entry:
    """One tensor with its change, which is `turned` for an embedding and a layer that is kept as (in, out)."""
    wrong = UnreadableError(f"{folder}: the adapter of {module} does not fit the weight {base.shape} of the start")
    if set(pair) != {"A", "B"} or base.dtype not in FLOATS:
        raise wrong
    rank, whole = pair["A"].shape[0], (base.shape[0], math.prod(base.shape[1:]))
    change = pair["B"].shape[0], math.prod(pair["A"].shape[1:])
    turned = turned if whole[0] == whole[1] else change != whole
    if math.prod(pair["B"].shape[1:]) != rank or (change[::-1] if turned else change) != whole:
        raise wrong
    patterns = config.get("alpha_pattern") or {}
    key = next((key for key in patterns if re.match(rf"(.*\.)?({key})$", module)), None)
    alpha = patterns[key] if key is not None else config.get("lora_alpha")
    if not isinstance(alpha, int | float):
        raise UnreadableError(f"{folder}: got lora_alpha = {alpha!r}, expected a number")
    scale = alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)

    def load() -> Tensor:
        weight = base.load()
        weight = weight if weight.dtype == torch.float64 else weight.float()
        product = pair["B"].load().flatten(1).to(weight) @ pair["A"].load().flatten(1).to(weight)
        return weight + scale * (product.T if turned else product).reshape(weight.shape)

    return Entry(base.dtype, base.shape, load)
