"""Make a version of any registry one that can be promoted: its files stay, and what else is needed lies in a run beside."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from passerelle.environments.environment import ensure
from passerelle.environments.lock import lock_for
from passerelle.errors import NotFoundError, PasserelleError, UntrustedTypeError, UsageError, shell_word
from passerelle.model.adoption import ADOPTION_FILE, LOCK_FILE, Adoption
from passerelle.model.flavors.logged import LoggedFlavor, logged_flavor
from passerelle.model.manifest import digest_of_manifest, manifest_of
from passerelle.model.mlmodel_content import mlmodel_content
from passerelle.model.trust import refuse_adopted_pickle, refuse_links
from passerelle.names import ADOPTION_OPTIONS, ADOPTION_RUN, ARTIFACT_DIGEST, GOLDEN, MANIFEST, SIGNED, ModelVersionRef, bento_name
from passerelle.registry.adoptable import Adoptable, find_adoptable
from passerelle.registry.adoption_run import is_run_of
from passerelle.registry.client import Registry
from passerelle.registry.download_room import check_room
from passerelle.registry.sign import stored_signature
from passerelle.registry.version_files import download_model, download_source
from passerelle.settings import LoadingSettings, SigningSettings
from passerelle.stages.adopt_hints import completed, given
from passerelle.stages.adopt_options import AdoptOptions, read_labels_file
from passerelle.stages.adopt_signature import ServedSignature, served_signature
from passerelle.stages.adopt_trial import LoggedModel, Tried, tried
from passerelle.stages.adopt_writing import NewAdoption, refuse_in_production, written
from passerelle.stages.context import Context, Progress, silent, stage
from passerelle.stages.golden_inputs import golden_inputs


@dataclass(frozen=True)
class Adopted:
    """A version and what adoption recorded of it.

    Attributes:
        ref: None at a dry run of a model that is no version yet.
        created: False when it was adopted before, with the same result.
        completed: What an earlier adoption lacked and got now, such as its signature.
        adoption: The record.
        golden_inputs: Number of golden predictions.
        classes: The labels of a classifier.
        warnings: What somebody should look at.
    """

    registered_model: str
    ref: ModelVersionRef | None
    created: bool
    artifact_digest: str
    adoption: Adoption
    golden_inputs: int = 0
    classes: tuple[Any, ...] = ()
    completed: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    dry_run: bool = False


@stage
def run(
    context: Context,
    address: str,
    options: AdoptOptions | None = None,
    *,
    registered_model: str | None = None,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Adopted:
    """Make a version one that can be promoted.

    Args:
        address: `models:/NAME/VERSION`, `models:/NAME@ALIAS`, `runs:/RUN_ID` or `runs:/RUN_ID/PATH`.
        options: What the model does not say itself.
        registered_model: That a run's model becomes a version of; by default the one of the settings.

    Raises:
        As `adopt`.
    """
    request = AdoptionRequest(address, options or AdoptOptions(), registered_model, context.signing, context.author, dry_run, progress)
    return adopt(context.registry, request)


@dataclass(frozen=True)
class AdoptionRequest:
    """What `adopt` is called for.

    Attributes:
        registered_model: That a run's model becomes a version of; by default the one of the settings.
        signing: With a key, the manifest is signed.
        who: Who adopts, for the lock.
    """

    address: str
    options: AdoptOptions
    registered_model: str | None = None
    signing: SigningSettings = field(default_factory=SigningSettings.read)
    who: str = ""
    dry_run: bool = False
    progress: Progress = silent


def adopt(registry: Registry, request: AdoptionRequest) -> Adopted:
    """Record what is needed of a version beside it, after the model was tried in an environment of its own.

    A second call with the same options changes nothing. Other options give another record, unless the version was in production.

    Raises:
        NotFoundError: There is no such version or model, or it has no files.
        UsageError: The model does not say what its records are, no environment can be made for it, or an option is wrong.
        IntegrityError: The model is a pickle that the operator does not allow, cannot be read, or answers otherwise on each call.
        RefusedError: The version was in production with another record.
        OutsideError: MLflow, S3 or the index of packages does not answer.
    """
    options = request.options
    options.check()
    found = find_adoptable(registry, request.address, request.registered_model)
    _check_name(found)
    earlier = _earlier(registry, found, options, request.signing)
    if earlier is not None:
        return replace(earlier, dry_run=request.dry_run)
    with tempfile.TemporaryDirectory(prefix="passerelle-adopt-") as temporary:
        folder = Path(temporary)
        request.progress(f"downloading {found}")
        with _leading_on(found, request):
            check_room(registry, found.source, folder)
        model = _downloaded(registry, found, folder)
        with _leading_on(found, request):
            result, warnings = _tried(found, model, request)
        _write(folder, result)
        manifest = manifest_of(model, folder / GOLDEN)
        if found.version is not None and digest_of_manifest(manifest) != found.version.tags.get(ARTIFACT_DIGEST):
            refuse_in_production(registry, found.version.ref, request.signing)
        new = NewAdoption(found, folder, manifest, result.adoption, options.digest, request.signing, request.who)
        writing = None if request.dry_run else written(registry, new)
    version, digest = found.version, digest_of_manifest(manifest)
    ref = writing.ref if writing else version.ref if version else None
    adopted = Adopted(found.registered_model, ref, writing is None or writing.created, digest, result.adoption, dry_run=request.dry_run)
    completed = writing.completed if writing else ()
    inputs = len(result.golden["inputs"])
    return replace(adopted, golden_inputs=inputs, classes=result.classes, completed=completed, warnings=(*warnings, *result.warnings))


@contextmanager
def _leading_on(found: Adoptable, request: AdoptionRequest) -> Iterator[None]:
    """Complete the hint of an error raised inside: the command that it names lacks nothing that was typed this time."""
    try:
        yield
    except PasserelleError as error:
        if error.hint is not None:
            typed = given(request.options, None if found.version else request.registered_model)
            error.hint = completed(error.hint, error.message, found.address, typed)
        raise


def _check_name(found: Adoptable) -> None:
    """Check that a bento can have the registered model's name; raises UsageError otherwise."""
    try:
        bento_name(found.registered_model)
    except UsageError as error:
        again = found.source if found.source.startswith("models:/m-") or not found.logged_by else f"runs:/{found.logged_by}"
        raise UsageError(error.message, hint=f"passerelle adopt {again} --model NAME") from error


def _earlier(registry: Registry, found: Adoptable, options: AdoptOptions, signing: SigningSettings) -> Adopted | None:
    """Return the result of an earlier adoption that is complete and has these options; None where there is none.

    Raises:
        UsageError: The version was registered by passerelle, which leaves nothing to adopt.
    """
    version = found.version
    if version is None or ARTIFACT_DIGEST not in version.tags:
        return None
    tags, name = version.tags, found.registered_model
    if ADOPTION_RUN not in tags:
        message = f"{version.ref} was registered by passerelle: there is nothing to adopt"
        raise UsageError(message, hint=f"passerelle promote --model {shell_word(name)} --version {version.ref.version}")
    if options.given and options.digest != tags.get(ADOPTION_OPTIONS):
        return None
    to_sign = signing.signing_key is not None and (SIGNED not in tags or stored_signature(registry, version.ref.run_id) is None)
    try:
        manifest = registry.read_json(version.ref.run_id, MANIFEST)
        record = registry.read_json(version.ref.run_id, ADOPTION_FILE)
        golden = registry.read_json(version.ref.run_id, GOLDEN)
    except NotFoundError:
        return None
    if to_sign or not is_run_of(registry, version.ref) or digest_of_manifest(manifest) != tags[ARTIFACT_DIGEST]:
        return None
    adoption = Adoption.of(record)
    inputs, classes = len(golden.get("inputs", ())), tuple(golden.get("classes", ()))
    return Adopted(name, version.ref, False, tags[ARTIFACT_DIGEST], adoption, golden_inputs=inputs, classes=classes)


def _downloaded(registry: Registry, found: Adoptable, into: Path) -> Path:
    version = found.version
    folder = download_source(registry, found.source, into) if version is None else download_model(registry, version, into)
    refuse_links(folder)
    return folder


def _tried(found: Adoptable, model: Path, request: AdoptionRequest) -> tuple[Tried, tuple[str, ...]]:
    """Return what the model does in its own environment, and what to say of its signature and examples."""
    options, signing, progress = request.options, request.signing, request.progress
    flavor, content = logged_flavor(model), mlmodel_content(model)
    settings = LoadingSettings.read()
    signature = served_signature(content.get("signature"), options, address=found.address)
    inputs = golden_inputs(signature.columns, examples=options.examples, logged=_example(model, content), address=found.address)
    if flavor.pickled:
        _check_pickle_policy(found, settings, signing)
    locked = lock_for(model, python=options.python, overrides=options.overrides, flavor=flavor.name, progress=progress)
    lock = model.parent / LOCK_FILE
    lock.write_text(locked.text, encoding="utf-8")
    python = ensure(lock, locked.python, settings, progress)
    progress(f"trying the model with {len(inputs.records)} inputs")
    labels = read_labels_file(options.labels) if options.labels is not None else {}
    draft = _draft(found, flavor, signature, labels)
    draft = replace(draft, golden_origin=inputs.origin, python=locked.python, libraries={**flavor.libraries, **locked.libraries})
    ignored = tuple(f"the examples' column '{name}' is none of the signature, and is ignored" for name in inputs.ignored)
    logged = LoggedModel(model.parent, draft, python, settings, found.address, signature.text_column)
    return tried(logged, inputs), (*signature.warnings, *ignored)


def _draft(found: Adoptable, flavor: LoggedFlavor, signature: ServedSignature, labels: Mapping[str, str]) -> Adoption:
    return Adoption(
        source=found.source,
        original_run=found.logged_by,
        flavor=flavor.name,
        task="other",
        signature=signature.parts,
        golden_origin="signature",
        python="",
        dropped_columns=signature.dropped,
        labels=labels,
        pickled=flavor.pickled,
    )


def _check_pickle_policy(found: Adoptable, settings: LoadingSettings, signing: SigningSettings) -> None:
    """Check that the operator lets a pickle be read in a process of its own: this adoption signs it where there is a key.

    Raises:
        IntegrityError: The operator does not.
    """
    try:
        refuse_adopted_pickle(settings, signed=signing.signing_key is not None)
    except UntrustedTypeError as error:
        missing = "SIGNING_KEY=key.pem" if settings.adopted_pickles == "signed" else "ADOPTED_PICKLES=signed"
        hint = f"export PASSERELLE_{missing}; passerelle adopt {shell_word(found.address)}"
        raise UntrustedTypeError(f"{found}: {error.message}", hint=hint) from error


def _example(model: Path, content: Mapping[str, Any]) -> Any:
    """Return the content of the logged input example; None where there is none that can be read."""
    named = dict(content.get("saved_input_example_info") or {}).get("artifact_path")
    path = (model / str(named)).resolve() if named else None
    if path is None or model.resolve() not in path.parents or not path.is_file():
        return None
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None


def _write(folder: Path, result: Tried) -> None:
    (folder / ADOPTION_FILE).write_text(result.adoption.canonical(), encoding="utf-8")
    (folder / GOLDEN).write_text(json.dumps(result.golden, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8")
