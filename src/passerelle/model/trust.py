"""What may be loaded from an artifact: no code, no links, and a limited size."""

from __future__ import annotations

import pickle
import struct
import zlib
from pathlib import Path

from passerelle.errors import TRAIN_AGAIN, DamagedFileError, UntrustedTypeError
from passerelle.settings import LoadingSettings, StateSettings

_TRUSTED_BUILTINS = frozenset(
    f"builtins.{name}" for name in ("bool", "bytes", "dict", "float", "frozenset", "int", "list", "range", "set", "slice", "str", "tuple")
) | {"collections.defaultdict", "collections.OrderedDict"}
#: Classes of numpy in small letters; they build no more than their name says.
_TRUSTED_TYPES = frozenset({"numpy.dtype"}) | {
    f"numpy.{name}"
    for name in ("bool", "bool_", "bytes_", "complex128", "complex64", "datetime64", "float16", "float32", "float64", "int16", "int32",
                 "int64", "int8", "intp", "ndarray", "object_", "str_", "timedelta64", "uint16", "uint32", "uint64", "uint8", "void")
}  # fmt: skip
#: Parts of scikit-learn, numpy and scipy that run, read or build what their arguments say.
_ACTING_MODULES = frozenset(
    {"testing", "tests", "f2py", "distutils", "externals", "ctypeslib", "_datasource", "npyio", "_npyio_impl", "io", "datasets", "conftest"}
)
_HARMLESS_FUNCTIONS = ("sklearn.feature_selection.", "sklearn.metrics.")
_LARGEST_UNPACKED_BYTES = 4 << 30
#: What the readers of a broken file raise. RuntimeError: recursion without end, or what a zip archive says that Python cannot unpack.
UNREADABLE = (
    ValueError, TypeError, LookupError, AttributeError, ImportError, OSError, EOFError, RuntimeError, MemoryError, SyntaxError,
    struct.error, zlib.error, pickle.UnpicklingError,
)  # fmt: skip


def refuse_links(folder: Path) -> None:
    """Refuse a directory that holds a symbolic link or anything but files and folders.

    Raises:
        IntegrityError: Names the entry.
    """
    for path in folder.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise UntrustedTypeError(f"the model holds {path.relative_to(folder)}, which is neither a file nor a folder", hint=TRAIN_AGAIN)


def refuse_pickle(form: str) -> None:
    """Check that the operator trusts pickles.

    Raises:
        IntegrityError: The operator does not, or this is production.
    """
    message = f"the model is saved as {form}, which runs code when it is loaded"
    if not LoadingSettings.read().trust_pickle:
        way_out = "log it with mlflow.sklearn.log_model(…, serialization_format='skops')"
        raise UntrustedTypeError(f"{message}; {way_out}, or trust pickles in development alone", hint="export PASSERELLE_TRUST_PICKLE=true")
    if StateSettings.read().environment == "production":
        way_out = "log it with mlflow.sklearn.log_model(…, serialization_format='skops')"
        raise UntrustedTypeError(f"{message}: pickles are not trusted in production; {way_out}", hint="unset PASSERELLE_TRUST_PICKLE")


def refuse_adopted_pickle(settings: LoadingSettings, *, signed: bool) -> None:
    """Check that the operator lets adopted models be pickles, which are read in a process of their own alone.

    Args:
        settings: With the operator's policy.
        signed: Whether a signature by a key of the operator's was verified.

    Raises:
        IntegrityError: The policy refuses them, or asks for a signature and there is none.
    """
    message = "the adopted model runs code of its own files when it is read, as every pickle does"
    policy = settings.adopted_pickles
    if policy == "refused":
        way_out = "allow signed ones, which are read in a process of their own"
        raise UntrustedTypeError(f"{message}; {way_out}", hint="export PASSERELLE_ADOPTED_PICKLES=signed")
    if policy == "signed" and not signed:
        raise UntrustedTypeError(
            f"{message}, and no signature was verified: only signed ones are allowed; set the key and adopt the version again",
            hint="export PASSERELLE_SIGNING_KEY=key.pem",
        )
    if policy == "any" and StateSettings.read().environment == "production":
        raise UntrustedTypeError(
            f"{message}, and unsigned ones are not allowed in production", hint="export PASSERELLE_ADOPTED_PICKLES=signed"
        )


def trusted(type_name: str, operators: str = "sklearn,numpy,scipy") -> bool:
    """Return whether the operator trusts a type, by its full name.

    A package is trusted for its classes: a function, such as `numpy.load`, would be called with what the artifact says.

    Args:
        operators: Packages and full names, with commas between.
    """
    names = {name.strip() for name in operators.split(",") if name.strip()}
    if type_name in _TRUSTED_BUILTINS or type_name in names or (type_name in _TRUSTED_TYPES and names & {"numpy"}):
        return True
    *folders, last = type_name.split(".")
    is_class = last.lstrip("_")[:1].isupper() or type_name.startswith(_HARMLESS_FUNCTIONS)
    below = any(type_name.startswith(f"{name}.") for name in names)
    return below and is_class and not _ACTING_MODULES & set(folders)


def refuse_bombs(path: Path) -> None:
    """Refuse an archive that unpacks to more than a model can be.

    Raises:
        IntegrityError: It is not a zip archive, or too much is in it.
    """
    import zipfile  # noqa: PLC0415

    try:
        with zipfile.ZipFile(path) as archive:
            size_bytes = sum(item.file_size for item in archive.infolist())
    except (zipfile.BadZipFile, *UNREADABLE) as error:
        raise DamagedFileError(f"{path.name} is not a skops file", hint=TRAIN_AGAIN) from error
    if size_bytes > _LARGEST_UNPACKED_BYTES:
        raise UntrustedTypeError(f"{path.name} unpacks to {size_bytes >> 20} MiB", hint=TRAIN_AGAIN)
