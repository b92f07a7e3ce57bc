"""Make a version of an adopted pickle that runs no code when it is read, once it reproduces the golden predictions."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from passerelle.environments.environment import ensure
from passerelle.environments.lock import Locked, lock_for
from passerelle.environments.resolution import pins_of
from passerelle.errors import GoldenError, IntegrityError, PasserelleError, UntrustedTypeError, UsageError, shell_word
from passerelle.model.adoption import ADOPTION_FILE, LOCK_FILE, Adoption, read_adoption
from passerelle.model.flavors.logged import ESTIMATORS, LoggedFlavor, logged_flavor
from passerelle.model.golden import Golden, read_golden, replay
from passerelle.model.hosted import HostedModel, hosted_predict
from passerelle.model.manifest import check_manifest, digest_of_manifest, manifest_of
from passerelle.model.trust import refuse_adopted_pickle
from passerelle.model.verify import check_signature
from passerelle.names import (
    ADOPTION_OPTIONS,
    ADOPTION_RUN,
    ARTIFACT_DIGEST,
    CONVERTED_FROM,
    GOLDEN,
    MANIFEST,
    MODEL_FOLDER,
    ModelVersionRef,
)
from passerelle.registry.adoptable import Adoptable, find_adoptable
from passerelle.registry.adoption_run import conversion_run
from passerelle.registry.client import Registry, VersionInfo
from passerelle.registry.sign import stored_signature
from passerelle.registry.version_files import download_model, download_version
from passerelle.settings import LoadingSettings, SigningSettings
from passerelle.stages.adopt_hints import options_of, then_converted
from passerelle.stages.adopt_writing import NewAdoption, written
from passerelle.stages.context import Context, Progress, silent, stage
from passerelle.stages.converted_files import Form, NewFile, write_converted

#: What saves an estimator in the form, and must be in the environment where the pickle is read.
_WRITERS: dict[Form, tuple[str, ...]] = {"skops": ("skops",), "onnx": ("skl2onnx",)}


@dataclass(frozen=True)
class Converted:
    """A version, and the one that it was made of.

    Attributes:
        ref: None at a dry run of what was not converted yet.
        created: False when it was converted before.
        form: Of its file.
        artifact_digest: Empty at such a dry run.
        golden_inputs: Number of golden predictions that it reproduces.
        golden_difference: Largest difference of a probability; None when they were not replayed.
    """

    ancestor: ModelVersionRef
    ref: ModelVersionRef | None
    created: bool
    form: Form
    artifact_digest: str
    golden_inputs: int = 0
    golden_difference: float | None = None
    dry_run: bool = False


@dataclass(frozen=True)
class ConversionRequest:
    """What `convert` is called for.

    Attributes:
        address: `models:/NAME/VERSION`, or as of `adopt`.
        who: Who converts, for the lock.
    """

    address: str
    form: Form
    signing: SigningSettings
    who: str
    dry_run: bool = False
    progress: Progress = silent


@stage
def run(context: Context, address: str, form: Form = "skops", *, dry_run: bool = False, progress: Progress = silent) -> Converted:
    """Make a version of the model in a form that runs no code when it is read.

    Args:
        address: `models:/NAME/VERSION` or `models:/NAME@ALIAS`, of an adopted version.
        form: `skops`, which keeps the estimator as it is, or `onnx`, which keeps its arithmetic.
        dry_run: Convert, replay the golden predictions, and write nothing to the registry.

    Raises:
        As `convert`.
    """
    return convert(context.registry, ConversionRequest(address, form, context.signing, context.author, dry_run, progress))


def convert(registry: Registry, request: ConversionRequest) -> Converted:
    """Make the version, unless it was made before.

    Raises:
        NotFoundError: There is no such version.
        UsageError: It was not adopted, is no pickle, or has no such form.
        IntegrityError: The operator does not allow its pickle to be read, or the new form does not give its golden predictions.
        OutsideError: MLflow, S3 or the index of packages does not answer.
    """
    version = _adopted_pickle(registry, request)
    converted_from = f"version {version.ref.version} as {request.form}, {version.tags[ARTIFACT_DIGEST]}"
    earlier = next(
        (each for each in registry.versions(version.ref.registered_model) if each.tags.get(CONVERTED_FROM) == converted_from), None
    )
    if earlier is not None and ARTIFACT_DIGEST in earlier.tags:
        return Converted(version.ref, earlier.ref, False, request.form, earlier.tags[ARTIFACT_DIGEST], dry_run=request.dry_run)
    with tempfile.TemporaryDirectory(prefix="passerelle-convert-") as temporary:
        ancestor = _ancestor(registry, version, Path(temporary) / "ancestor", request)
        folder = Path(temporary) / "converted"
        folder.mkdir()
        with _leading_on(ancestor, request):
            _convert_files(ancestor, folder, request)
        if earlier is not None:
            # Of an interrupted conversion: what the registry holds is what is recorded.
            (folder / MODEL_FOLDER).rename(folder / "unused")
            download_model(registry, earlier, folder)
        with _leading_on(ancestor, request):
            difference = _golden_difference(folder, ancestor.golden, request)
        found = Converted(version.ref, None, True, request.form, "", len(ancestor.golden.inputs), difference, request.dry_run)
        if request.dry_run:
            return found
        new = earlier or _new_version(registry, version, converted_from, folder)
        ref, digest = _record(registry, new, version, folder, request)
        return replace(found, ref=ref, artifact_digest=digest)


def _adopted_pickle(registry: Registry, request: ConversionRequest) -> VersionInfo:
    version = find_adoptable(registry, request.address).version
    if version is None or ARTIFACT_DIGEST not in version.tags:
        message = f"{version.ref if version else request.address} was not adopted: there are no golden predictions to hold it to"
        raise UsageError(message, hint=f"passerelle adopt {shell_word(request.address)}")
    if ADOPTION_RUN not in version.tags:
        message = f"{version.ref} was registered by passerelle, which saves models with skops: convert is for adopted pickles"
        raise UsageError(message, hint=_promote(version.ref))
    return version


def _other_form(request: ConversionRequest) -> str:
    if request.form == "skops":
        return f"passerelle convert {request.address} --to onnx"
    return f"passerelle convert {request.address} --to skops"


def _promote(ref: ModelVersionRef) -> str:
    return f"passerelle promote --model {ref.registered_model} --version {ref.version}"


@dataclass(frozen=True)
class _Ancestor:
    """The version that is converted, on this machine."""

    ref: ModelVersionRef
    folder: Path
    adoption: Adoption
    flavor: LoggedFlavor
    golden: Golden


def _ancestor(registry: Registry, version: VersionInfo, folder: Path, request: ConversionRequest) -> _Ancestor:
    """Download the version and check that it may be read here: each file is the recorded one, and the operator allows its pickle."""
    ref = version.ref
    request.progress(f"downloading {ref}")
    manifest = registry.read_json(ref.run_id, MANIFEST)
    signer = check_signature(manifest, stored_signature(registry, ref.run_id), request.signing, of=str(ref), run_id=ref.run_id)
    files = download_version(registry, version, folder)
    check_manifest(files.model, files.golden, manifest, expected_digest=version.tags[ARTIFACT_DIGEST])
    adoption = read_adoption(folder)
    if adoption is None:
        raise IntegrityError(f"{ref} holds no record of its adoption", hint=f"passerelle adopt {shell_word(request.address)}")
    flavor = logged_flavor(files.model, name=adoption.flavor)
    if not flavor.pickled:
        raise UsageError(f"{ref} is no pickle: there is nothing to convert", hint=_promote(ref))
    if flavor.name not in ESTIMATORS or flavor.entry.get("code") or flavor.function.get("code"):
        what = f"is read by {flavor.title}, " if flavor.name not in ESTIMATORS else "has modules beside it, "
        message = (
            f"{ref} {what}and runs code of its own to predict: no form of it is without; it is served in its sandbox, once it is signed"
        )
        raise UsageError(message, hint="export PASSERELLE_ADOPTED_PICKLES=signed")
    refuse_adopted_pickle(LoadingSettings.read(), signed=signer is not None)
    return _Ancestor(ref, folder, adoption, flavor, read_golden(files.golden))


def _convert_files(ancestor: _Ancestor, folder: Path, request: ConversionRequest) -> None:
    """Write the converted model, its requirements and its record into the folder."""
    former, adoption = ancestor.folder / MODEL_FOLDER, ancestor.adoption
    pins = [f"{name}=={version}" for name, version in pins_of((ancestor.folder / LOCK_FILE).read_text(encoding="utf-8")).items()]
    writers = [each for each in _WRITERS[request.form] if not any(pin.startswith(f"{each}==") for pin in pins)]
    options = {"python": adoption.python, "flavor": adoption.flavor, "progress": request.progress}
    locked = lock_for(former, overrides=[*pins, *writers], **options)  # type: ignore[arg-type]
    lock = folder / LOCK_FILE
    lock.write_text(locked.text, encoding="utf-8")
    settings = LoadingSettings.read()
    python = ensure(lock, locked.python, settings, request.progress)
    request.progress(f"saving the model as {request.form}")
    with closing(HostedModel(ancestor.folder, adoption, python=python, settings=settings)) as hosted:
        try:
            content = hosted.converted(request.form)
        except ValueError as error:
            raise UsageError(f"{ancestor.ref} cannot be saved as {request.form}: {error}", hint=_other_form(request)) from error
    libraries = pins_of(locked.text)
    write_converted(former, folder / MODEL_FOLDER, ancestor.flavor, NewFile(content, request.form, libraries))
    if request.form == "onnx":
        locked = lock_for(folder / MODEL_FOLDER, python=adoption.python, flavor="onnx", progress=request.progress)
        lock.write_text(locked.text, encoding="utf-8")
    (folder / GOLDEN).write_bytes((ancestor.folder / GOLDEN).read_bytes())
    record = _record_of(ancestor, folder / MODEL_FOLDER, locked, request.form)
    (folder / ADOPTION_FILE).write_text(record.canonical(), encoding="utf-8")


@contextmanager
def _leading_on(ancestor: _Ancestor, request: ConversionRequest) -> Iterator[None]:
    """Where a refusal says to adopt the model with something, let it name the model, the conversion after that, and the other form."""
    try:
        yield
    except PasserelleError as error:
        if error.hint is not None:
            conversion = (request.address, f"passerelle convert {request.address} --to {request.form}", _other_form(request))
            error.hint = then_converted(error.hint, error.message, conversion, options_of(ancestor.adoption, ancestor.flavor))
        raise


def _record_of(ancestor: _Ancestor, model: Path, locked: Locked, form: Form) -> Adoption:
    flavor, adoption = logged_flavor(model), ancestor.adoption
    named = {*adoption.libraries, "skops"} if form == "skops" else set(locked.libraries)
    libraries = {name: version for name, version in locked.libraries.items() if name in named}
    return replace(
        adoption,
        flavor=flavor.name,
        pickled=flavor.pickled,
        python=locked.python,
        libraries={**flavor.libraries, **libraries},
        # A graph takes texts as a table.
        input_form="table" if form == "onnx" else adoption.input_form,
        converted_from=str(ancestor.ref),
    )


def _golden_difference(folder: Path, golden: Golden, request: ConversionRequest) -> float:
    """Return by how much a probability of the converted model differs at most from its golden prediction.

    Raises:
        IntegrityError: By too much, a label differs, or the model holds types that the operator does not trust.
    """
    adoption, settings = read_adoption(folder), LoadingSettings.read()
    assert adoption is not None  # noqa: S101 - written just now
    python = ensure(folder / LOCK_FILE, adoption.python, settings, request.progress)
    try:
        with closing(HostedModel(folder, adoption, python=python, settings=settings)) as hosted:
            return _replayed(golden, hosted)
    except GoldenError as error:
        message = f"as {request.form}, {request.address} does not give its golden predictions, and is not registered: {error.message}"
        raise GoldenError(message, hint=_other_form(request)) from error
    except UntrustedTypeError as error:
        types = (error.hint or "").rpartition("=")[2]
        hint = f"export PASSERELLE_TRUSTED_TYPES={types}; passerelle convert {shell_word(request.address)}"
        raise UntrustedTypeError(error.message, hint=hint) from error


def _replayed(golden: Golden, hosted: HostedModel) -> float:
    difference = replay(golden, hosted_predict(hosted))
    if tuple(hosted.classes) != golden.classes:
        raise GoldenError(f"its classes are {list(hosted.classes)} and were {list(golden.classes)}", hint="passerelle status")
    return difference


def _new_version(registry: Registry, ancestor: VersionInfo, converted_from: str, folder: Path) -> VersionInfo:
    run_id, source = conversion_run(registry, ancestor.ref, converted_from, folder / MODEL_FOLDER)
    name = ancestor.ref.registered_model
    ref = registry.create_version(name, run_id, source, {CONVERTED_FROM: converted_from})
    return registry.model_version(name, ref.version)


def _record(
    registry: Registry, version: VersionInfo, ancestor: VersionInfo, folder: Path, request: ConversionRequest
) -> tuple[ModelVersionRef, str]:
    """Write what adoption keeps of a version; return its reference, which names the run of that, and the digest of its files."""
    recorded = read_adoption(folder)
    assert recorded is not None  # noqa: S101 - written just now
    adoption = replace(recorded, source=version.source, original_run=version.logged_by)
    (folder / ADOPTION_FILE).write_text(adoption.canonical(), encoding="utf-8")
    found = Adoptable(version.ref.registered_model, version, version.source, version.logged_by)
    manifest = manifest_of(folder / MODEL_FOLDER, folder / GOLDEN)
    options = ancestor.tags.get(ADOPTION_OPTIONS, "")
    adoption_of = NewAdoption(found, folder, manifest, adoption, options, request.signing, request.who)
    return written(registry, adoption_of).ref, digest_of_manifest(manifest)
