"""Results of the commands that print a table, as a working day has them: long names, whole digests, sentences of people."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

from passerelle.api_keys import ApiKey
from passerelle.cli import (
    show,
    show_bundle,
    show_doctor,
    show_drift,
    show_feedback,
    show_keys,
    show_prune,
    show_rollout,
    show_score,
    show_stack,
    show_training,
)
from passerelle.cli.output import Output
from passerelle.doctor.diagnosis import Diagnosis, Health
from passerelle.gate.finding import Finding
from passerelle.gate.messages import Message
from passerelle.model.ledger_entry import Entry
from passerelle.model.version_differences import PairCount, VersionDifferences
from passerelle.monitoring.figures import Figures
from passerelle.names import ModelVersionRef
from passerelle.registry.verified import History
from passerelle.rollout.backup import BackupReport
from passerelle.stages.bundle import Bundled
from passerelle.stages.compare import Comparison, ComparisonRow, RankingDecision
from passerelle.stages.doctor import Examination
from passerelle.stages.feedback_sample import DailySample, SampledAnswer
from passerelle.stages.promotion import Promotion
from passerelle.stages.prune import KeptRun, Pruned, Share
from passerelle.stages.prune_local import LocallyPruned, LocalPiece
from passerelle.stages.register import Registered
from passerelle.stages.reproduce import Reproduction
from passerelle.stages.reproduction import MetricPair, TrainingComparison
from passerelle.stages.status import Disagreement, Holdings, Status
from passerelle.stages.trace import Trace, TraceLink
from passerelle.stages.train import Trained
from passerelle.training.result import CandidateResult, TrainingResult
from tests.unit.cli.test_show_rollout import FOUND
from tests.unit.monitoring.drift.days import found, history

RUN = "2f9c71d6a4da41cdb58ca8372ab85a57"
DIGEST = "sha256:" + "0123456789abcdef" * 4
THEME = "Espaces verts, propreté et entretien des équipements de proximité"
METRICS = {
    "cv_macro_f1": 0.70312, "cv_accuracy": 0.71233, "cv_log_loss": 0.98123, "cv_calibration_error": 0.04321,
    "latency_p95_ms": 1.2345, "size_bytes": 1_234_567.0, "test_macro_f1": 0.69812, "test_accuracy": 0.70123,
}  # fmt: skip
CANDIDATES = ("mixed_svm_with_bigrams", "mixed_logistic_regression", "mixed_sgd")
ENTRY = Entry(
    1, "", "2026-11-26T15:56:00.123456+00:00", "marie.durand@poste-117.paris.example", "promote", "classification", None, 12, RUN, DIGEST,
    reason="le service de la propreté attend la correction des catégories depuis lundi",
)  # fmt: skip
HOLDINGS = Holdings(
    "signalements-citoyens", 12, 11, (12,), 12, f"signalements-citoyens:12-{RUN[:8]}", f"signalements-citoyens:12-{RUN[:8]}",
    11, service_address="http://127.0.0.1:43211", image=f"registre.exemple.fr/equipe/signalements-citoyens:12-{RUN[:8]}",
)  # fmt: skip


def comparison(output: Output) -> None:
    rows = tuple(ComparisonRow(place, name, RUN, METRICS, ()) for place, name in enumerate(CANDIDATES[:2], start=1))
    failing = ComparisonRow(None, CANDIDATES[2], RUN, METRICS, ("cv_calibration_error is 0.2363, at most 0.2",))
    decision = RankingDecision("size_bytes", 1_234_567.0, 2_345_678.0, 0.005)
    show.comparison(output, Comparison(RUN, DIGEST, "cv_macro_f1", (*rows, failing), ("size_bytes", "cv_log_loss"), decision))


def trained(output: Output) -> None:
    results = tuple(CandidateResult(name, RUN, METRICS) for name in CANDIDATES)
    result = TrainingResult(RUN, "classification", DIGEST, results, 61.2)
    show_training.trained(output, Trained(RUN, "classification", DIGEST, 1_200, 12, ("12 texts occur twice",), True, result))


def reproduced(output: Output) -> None:
    pairs = tuple(MetricPair(name, value, value + (0.001 if name == "cv_log_loss" else 0)) for name, value in METRICS.items())
    note = "trained with the libraries of this environment, which are those that the commit locks"
    show_training.reproduced(
        output,
        Reproduction(12, CANDIDATES[0], "a" * 40, RUN, TrainingComparison(pairs, 1, 2e-3), ("numpy 2.2.0 then, 2.3.1 now",), (note,)),
    )


def figures(output: Output) -> None:
    predictions = {THEME: 812, "Voirie": 31, "Pb de suivi /Délai": 2}
    show.figures(output, Figures("http://127.0.0.1:43211", "12", {"200": 845, "422": 3}, 0.41, 1.92, predictions, 0.2))


def status(output: Output) -> None:
    what = "version 12 is in production and the service at http://127.0.0.1:43211 serves version 11"
    show.status(output, Status(HOLDINGS, (Disagreement(what, "passerelle import; passerelle build; passerelle deploy"),)))


def ledger(output: Output) -> None:
    second = Entry(2, "", ENTRY.when, ENTRY.who, "rollback", "classification", 12, 11, RUN, DIGEST, judged=False)
    show.history(output, History("classification", (ENTRY, second), verified=True, signed_from=1))


def traced(output: Output) -> None:
    links = (
        TraceLink("image", f"registre.exemple.fr/equipe/signalements-citoyens:12-{RUN[:8]}", DIGEST),
        TraceLink("artifact digest", DIGEST),
        TraceLink("run", RUN, f"'{CANDIDATES[0]}' in the experiment classification"),
        TraceLink("code", "a" * 40, "with changes that no commit holds"),
        TraceLink("data", None, "the version was not trained by passerelle"),
    )
    show.traced(output, Trace("12", "version", 12, links))


def sampled(output: Output) -> None:
    text = "Bonjour, le lampadaire devant le numéro 12 de la rue des Pyrénées ne marche plus depuis mardi."
    answers = tuple(SampledAnswer(f"{RUN[:8]}-{place:027d}", THEME, 0.41, "12", {"text": text}) for place in range(2))
    show_feedback.sampled(output, DailySample(date(2026, 11, 26), 845, answers, Path("echantillon-du-2026-11-26.csv").absolute()))


def keys(output: Output) -> None:
    key = ApiKey(
        "0123456789ab", "application-des-signalements", "0" * 64, "2026-11-26T15:56:00+00:00", None, None, ("classify", "feedback")
    )
    show_keys.listed(output, (key,))


def differences(output: Output) -> None:
    pairs = (PairCount(THEME, "Pb de suivi /Délai", 1_234), PairCount("Voirie", THEME, 3))
    show_score.differences(output, VersionDifferences("classification", 11, 12, 18_000, 1_237, 4, pairs, ()))


def registered(output: Output) -> None:
    show.registered(output, Registered("classification", RUN, CANDIDATES[0], ModelVersionRef("classification", 12, RUN), True, DIGEST, {}))


def promotion(output: Output) -> None:
    findings = (
        Finding("champion", True, "0.71", "0.70", (Message("no_rows"),)),
        Finding("leakage", False, "—", "0", (Message("no_rows"),), unknown=True, waived="marie.durand@poste-117: known"),
    )
    report = "http://127.0.0.1:5000/#/experiments/1/runs/" + RUN + "/artifacts/gate/report.html"
    ref = ModelVersionRef("classification", 12, RUN)
    show.promotion(output, Promotion(ref, 11, changed=True, findings=findings, report=report))


def examined(output: Output) -> None:
    diagnoses = (
        Diagnosis("MLflow", Health.FINE, "http://127.0.0.1:5000 answers in 12 ms; version 3.17.2, accounts are asked for"),
        Diagnosis(
            "S3", Health.FAULT, "the bucket registre-des-modeles does not refuse a write that is conditional on another object", None
        ),
        Diagnosis("certificate of the S3 server", Health.WARNING, "s3.exemple.fr:9000 has one until 2026-12-05", "passerelle doctor"),
        Diagnosis("Kubernetes", Health.NOT_USED, "kubectl is not installed"),
    )
    show_doctor.examination(output, Examination(diagnoses, 1, 1))


def pruned(output: Output) -> None:
    share, kept = Share(3, 1_204, 4_812_345_678), (KeptRun(RUN, "version 12 of signalements-citoyens, which was in production"),)
    show_prune.pruned(output, Pruned(share, share, share, Share(objects=2, size_bytes=8_388_608), share, kept, 30, dry_run=True))


def pruned_here(output: Output) -> None:
    tag = f"signalements-citoyens:12-{RUN[:8]}"
    pieces = (LocalPiece("image", f"registre.exemple.fr/equipe/{tag}-1a2b3c4d", 612_345_678), LocalPiece("model", tag, 48_123_456))
    kept = (LocalPiece("bento", tag, 1_234_567, "MLflow has no such version; --unknown includes it"),)
    show_prune.pruned_here(output, LocallyPruned(pieces, kept, None, "no container engine is installed", 3, dry_run=True))


def bundled(output: Output) -> None:
    images = (f"registre.exemple.fr/equipe/signalements-citoyens:12-{RUN[:8]}", "passerelle/mlflow:3.17.2-b31cc52c")
    show_bundle.bundled(output, Bundled(Path("hors-ligne.tar").absolute(), images, 267, 3_812_345_678, 208.4, True, images[1:], Path("w")))


def restored(output: Output) -> None:
    told = ("the ledger of 'signalements-citoyens' is broken at entry 3: it is not chained to the entry before",)
    report = BackupReport(Path("passerelle-2026-11-26.tar.age"), "2026-11-26T02:00:00+00:00", 1_204, 48_123_456, DIGEST, 67.3, 3, told)
    show_stack.backup(output, report, "restores")


#: By the name of the command. Each prints a table, but for the last seven, which print digests, lists or a verdict.
PRINTED: dict[str, Callable[[Output], None]] = {
    "compare": comparison,
    "train": trained,
    "reproduce": reproduced,
    "monitor": figures,
    "status": status,
    "history": ledger,
    "trace": traced,
    "drift": lambda output: show_drift.drift(output, found(history(), None)),
    "rollout": lambda output: show_rollout.candidate(output, FOUND),
    "feedback sample": sampled,
    "keys list": keys,
    "score --compare": differences,
    "register": registered,
    "promote": promotion,
    "doctor": examined,
    "prune --dry-run": pruned,
    "prune --local": pruned_here,
    "bundle --install": bundled,
    "restore --verify": restored,
}
