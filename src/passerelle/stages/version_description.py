"""What MLflow's page says of a version: what it is, from which data, its figures beside those of production, and the gate's verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from passerelle.gate.checks import in_units
from passerelle.gate.messages import NAMES
from passerelle.gate.verdict import Verdict
from passerelle.names import (
    COMPILED,
    DATA_DIGEST,
    DATA_SOURCE,
    FLAVOR,
    GIT_COMMIT,
    GIT_DIRTY,
    LANGUAGE,
    MODEL_SOURCE,
    TASK,
    VERDICT,
    ModelVersionRef,
)
from passerelle.registry.client import CandidateRun, Registry
from passerelle.registry.descriptions import artifact_page, describe_model, describe_version, literal
from passerelle.registry.production import standing
from passerelle.registry.recorded_origin import recorded

_FIGURES = ("macro_f1", "accuracy", "log_loss", "calibration_error", "mae", "rmse", "r2", "exact_match", "latency_p95_ms", "size_bytes")
_RESULTS = {
    "passed": "The gate lets it into production",
    "refused": "The gate refuses it",
    "undecided": "The rows are too few to tell whether it is as good as the version in production",
    "not judged": "It is not judged: there were no rows",
}
_NOT_JUDGED = "The gate has not judged it yet: `passerelle promote`."
_MODEL = (
    "Registered by passerelle: the version with the alias `production` is the one in production; "
    "`passerelle promote` and `passerelle rollback` move it, and `passerelle history` lists who moved it and why."
)


def describe_new(registry: Registry, ref: ModelVersionRef, tags: Mapping[str, str]) -> None:
    """Describe a version that was registered now, and its registered model where nobody did.

    Args:
        tags: Of the version.
    """
    run = registry.run(ref.run_id)
    champion = _in_production(registry, ref)
    figures = {ref.version: _of_training(run)} | ({champion.version: _of_training(registry.run(champion.run_id))} if champion else {})
    lines = [*_introduction(run, tags), *_table(figures, ref.version), "From the cross-validation of each version's own training."]
    describe_version(registry, ref, "\n".join([*lines, "", _NOT_JUDGED]))
    describe_model(registry, ref.registered_model, _MODEL)


def describe_adopted(registry: Registry, ref: ModelVersionRef, origin: str) -> None:
    """Describe a version that was adopted, and its registered model where nobody did.

    Args:
        origin: Of its golden inputs.
    """
    version = registry.model_version(ref.registered_model, ref.version)
    introduction = _introduction(registry.run(version.ref.run_id), version.tags)
    golden = f"Adopted: its golden predictions, for inputs from {literal(origin)}, show what changes from here on, not what training saw."
    describe_version(registry, ref, "\n".join([*introduction, golden, "", _NOT_JUDGED]))
    describe_model(registry, ref.registered_model, _MODEL)


def describe_judged(registry: Registry, verdict: Verdict, report: str) -> None:
    """Describe a version that the gate judged now, and tag it with the verdict.

    Args:
        report: Where the gate's page is, among the artifacts of the version's run.
    """
    version = registry.model_version(verdict.ref.registered_model, verdict.ref.version)
    evidence = verdict.evidence
    figures = {each.version: each.figures for each in (evidence.challenger, evidence.champion) if each is not None}
    passed = sum(finding.passed for finding in verdict.findings)
    page = artifact_page(registry, version.ref.run_id, report)
    failing = [f"- {literal(each.check)}: {literal(each.message)}" for each in verdict.findings if not each.passed]
    lines = [
        *_introduction(registry.run(version.ref.run_id), recorded(registry, version).tags),
        f"**{_RESULTS[verdict.result]}**: {passed} of {len(verdict.findings)} checks passed; [the gate's report]({page}).",
        *failing,
        *(f"- {literal(each)}" for each in verdict.worth("en")),
        *_table(figures, verdict.ref.version),
    ]
    if version.tags.get(VERDICT) != verdict.result:
        registry.set_version_tags(version.ref, {VERDICT: verdict.result})
    describe_version(registry, version.ref, "\n".join(lines))


def _in_production(registry: Registry, ref: ModelVersionRef) -> ModelVersionRef | None:
    number = standing(registry, ref.registered_model).production
    return registry.model_version(ref.registered_model, number).ref if number not in (None, ref.version) else None


def _introduction(run: CandidateRun, tags: Mapping[str, str]) -> Iterator[str]:
    read = f", read as {literal(tags[FLAVOR])}" if FLAVOR in tags else ""
    language = f" of texts in {literal(tags[LANGUAGE])}" if LANGUAGE in tags else ""
    classes = f", {literal(run.params['data.classes'])} classes" if "data.classes" in run.params else ""
    yield f"{literal(run.name)}: {literal(tags.get(TASK, 'a model'))}{language}{classes}{read}."
    source = run.tags.get(DATA_SOURCE) or run.tags.get(MODEL_SOURCE)
    if source:
        rows = f", {literal(run.params['data.rows'])} rows" if "data.rows" in run.params else ""
        digest = f", digest {literal(tags[DATA_DIGEST].removeprefix('sha256:')[:12])}" if DATA_DIGEST in tags else ""
        yield f"From {literal(source)}{rows}{digest}."
    if GIT_COMMIT in tags:
        dirty = ", with changes that no commit holds" if tags.get(GIT_DIRTY) == "true" else ""
        yield f"By the code of commit {literal(tags[GIT_COMMIT][:12])}{dirty}."
    if tags.get(COMPILED) == "true":
        yield "Compiled: it is served without scikit-learn."
    yield ""


def _of_training(run: CandidateRun) -> dict[str, float]:
    return {name: value for name in _FIGURES if (value := run.metrics.get(f"cv_{name}", run.metrics.get(name))) is not None}


def _table(figures: Mapping[int, Mapping[str, float]], version: int) -> Iterator[str]:
    """Yield the figures of the version, and beside them those of the one in production."""
    others = [number for number in figures if number != version]
    yield ""
    yield "| | " + " | ".join([f"version {version}", *(f"version {number}, in production" for number in others)]) + " |"
    yield "|---|" + "--:|" * (len(others) + 1)
    for name in _FIGURES:
        values = [figures[number].get(name) for number in (version, *others)]
        if any(value is not None for value in values):
            cells = ("—" if value is None else in_units(name, value) for value in values)
            yield f"| {NAMES['en'].get(name, name)} | " + " | ".join(cells) + " |"
    yield ""
