"""What a command says where it completed something of a version that was there before."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from passerelle.cli import show
from passerelle.cli.output import Output
from passerelle.gate.finding import Finding
from passerelle.gate.messages import Message
from passerelle.model.ledger_entry import Entry
from passerelle.names import BUNDLE, ModelVersionRef
from passerelle.registry.verified import History
from passerelle.stages.promotion import Promotion
from passerelle.stages.register import Registered

REF = ModelVersionRef("comments", 2, "r" * 32)


@pytest.mark.parametrize(("dry_run", "verb"), [(False, "completed"), (True, "would complete")])
def test_what_was_completed_is_said(capsys: pytest.CaptureFixture[str], dry_run: bool, verb: str) -> None:
    registered = Registered("comments", REF.run_id, "word_lr", REF, False, "sha256:1", {}, completed=(BUNDLE,), dry_run=dry_run)
    show.registered(Output(as_json=False), registered)
    assert capsys.readouterr().out.splitlines() == [
        "already done: 'word_lr' is comments version 2",
        f"  {verb}: passerelle/bundle.tar, an artifact of the run {REF.run_id}",
    ]
    show.promotion(Output(as_json=False), Promotion(REF, 1, changed=False, completed=("artifact a of the run r",), dry_run=dry_run))
    assert capsys.readouterr().out.splitlines() == [
        "already done: comments version 2 is in production",
        f"  {verb}: artifact a of the run r",
    ]


def test_programs_are_told_too(capsys: pytest.CaptureFixture[str]) -> None:
    show.promotion(Output(as_json=True), Promotion(REF, 1, changed=False, completed=("artifact a of the run r",)))
    assert json.loads(capsys.readouterr().out)["completed"] == ["artifact a of the run r"]


def test_what_nobody_judged_is_said_in_history_and_at_the_promotion(capsys: pytest.CaptureFixture[str]) -> None:
    judged = Entry(1, "", "2026-01-02T03:04:05", "marie@here", "promote", "comments", None, 1, "run", "sha256:1")
    show.history(
        Output(as_json=False), History("comments", (judged, replace(judged, number=2, to_version=2, judged=False, reason="known")))
    )
    first, second = capsys.readouterr().out.splitlines()[-2:]
    assert "not judged" not in first
    assert "promote, not judged" in second
    leakage = Finding("leakage", False, "—", "0", (Message("no_rows"),), unknown=True, waived="marie@here: known")
    notes = ("comments version 2 is not judged: there were no labelled rows",)
    show.promotion(Output(as_json=False), Promotion(REF, 1, changed=True, findings=(leakage,), notes=notes))
    assert capsys.readouterr().out.splitlines()[:3] == [
        "gate: 0 of 1 checks passed",
        f"  leakage: {leakage.message}; accepted by marie@here: known",
        f"note: {notes[0]}",
    ]
