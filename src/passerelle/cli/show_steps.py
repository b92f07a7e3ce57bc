"""How the commands of several stages look while they run."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from passerelle.bentos.build import BuiltBento
from passerelle.cli import show, show_stack, show_training
from passerelle.cli.loopback import for_shell
from passerelle.cli.output import Output, print_error
from passerelle.cli.silence import silence_from_here
from passerelle.cli.typed_program import make_or, typed
from passerelle.names import CLASSIFY
from passerelle.rollout.compose import StackDeployment
from passerelle.rollout.local import Deployment
from passerelle.stages.compare import Comparison
from passerelle.stages.demo import Demonstration, OfOthers, PlatformRuns, as_object
from passerelle.stages.events import Began, Ended
from passerelle.stages.first_answer import FirstAnswer
from passerelle.stages.import_model import ImportedModel
from passerelle.stages.production_bento import NothingInProduction
from passerelle.stages.promotion import Promotion
from passerelle.stages.register import Registered
from passerelle.stages.stack_deploy import StackRuns
from passerelle.stages.train import Trained
from passerelle.stages.up import NotServed, PlatformOnly, ServiceReplaced, ServiceRuns

if TYPE_CHECKING:
    from passerelle.stages.deploy import Deployed

#: Results that are shown without the time that they took.
_UNTIMED = (OfOthers, Deployment, StackDeployment, FirstAnswer)


class StepsShown:
    """Prints each stage as it begins and ends; nothing of it for a program, which gets the whole result at the end.

    Args:
        timed: Whether each stage has a heading and its time: `demo` does, `up` does not.
    """

    def __init__(self, output: Output, *, timed: bool = True) -> None:
        self.output = output
        self._timed = timed
        self._began = time.monotonic()

    def __call__(self, event: Began | Ended) -> None:
        """Print what an event says."""
        if self.output.as_json:
            return
        if isinstance(event, Began):
            self._heading(event.name)
            return
        self._result(event.result)
        if self._timed and event.seconds and not isinstance(event.result, _UNTIMED):
            self.output.line(f"  {event.seconds:.1f} s")

    def demonstration(self, result: Demonstration) -> None:
        """Print how the demo ended."""
        self.output.result(as_object(result))
        took = f"Done in {time.monotonic() - self._began:.0f} s"
        if isinstance(result.deployment, StackDeployment):
            if result.answer is None:
                address = result.deployment.address
                self.output.line(f"\nthe golden inputs were asked inside of the containers; outside it is {address}")
            self._next(
                f"{took}; the stack goes on running",
                (f'eval "$({typed()} env --target compose)"', "lets every command, mlflow and boto3 in this shell reach the stack"),
                (f"{typed()} status", "which version is where; needs the line above, like the next one"),
                (f"{typed()} deploy --target compose", "after the next promotion: serves what is in production, without a failed request"),
                ("docker compose -f deploy/compose.yaml down", "stops the stack; its volumes keep all that it holds"),
            )
            return
        self._next(
            f"{took}; nothing is left running",
            (make_or("up"), "MLflow's pages, S3 and the service, until Ctrl-C; prints what to open and a request"),
            (f"{typed()} --help", "one command a stage, in their order"),
            ("cat training/README.md", "how to put your data and your candidates in the place of the demo's"),
        )

    def _next(self, done: str, *commands: tuple[str, str]) -> None:
        """Print that it is done, and each command with what it does."""
        self.output.line(f"\n{done}. Next, typed as it stands:")
        for command, does in commands:
            self.output.line(f"  {command}\n      {does}")

    def stack(self, result: Deployed | NothingInProduction | PlatformOnly) -> None:
        """Print what the stack serves, or how it comes to serve something."""
        self._result(result)

    def _heading(self, name: str) -> None:
        if name == "wait":
            self.output.line("In another terminal, in this folder, typed as it stands:")
            self.output.line(f"  {typed()} status")
            self.output.line(f'  eval "$({typed()} env)"')
            self.output.line(f"      then {typed('mlflow')}, {typed('bentoml')} and boto3 reach this platform too")
            self.output.line("Ctrl-C ends it.")
            silence_from_here()
        elif self._timed:
            self.output.line(f"▸ {name}" if name == "platform" else f"\n▸ {name}")

    def _result(self, result: object) -> None:
        for kind, show_result in self._views().items():
            if isinstance(result, kind):
                return show_result(result)
        self.output.line("ending" if result is None else str(result))
        return None

    def _views(self) -> dict[type, Callable[[Any], None]]:
        """Return how each kind of result is shown."""
        output = self.output
        return {
            Trained: lambda result: show_training.trained(output, result),
            Comparison: lambda result: show.comparison(output, result),
            Registered: lambda result: show.registered(output, result),
            Promotion: lambda result: show.promotion(output, result),
            ImportedModel: lambda result: show.imported(output, result),
            BuiltBento: lambda result: show.built(output, result),
            Deployment: lambda result: show.deployment(output, result),
            StackDeployment: lambda result: show_stack.stack_deployment(output, result),
            PlatformRuns: self._platform,
            StackRuns: self._stack_runs,
            OfOthers: self._of_others,
            FirstAnswer: self._answer,
            NothingInProduction: self._nothing,
            NotServed: self._not_served,
            PlatformOnly: lambda result: output.line(f"The service is left as it is. For one: {result.next_command}"),
            ServiceRuns: self._service_runs,
            ServiceReplaced: self._replaced,
        }

    def _replaced(self, result: ServiceReplaced) -> None:
        now = f"its service is now on {result.address}, and stays after Ctrl-C" if result.address else "no service of it runs any longer"
        self.output.line(f"{result.registered_model}: {now}")

    def _platform(self, result: PlatformRuns) -> None:
        if not self._timed:
            self.output.line(f"MLflow   {result.tracking_uri}")
            self.output.line(f"S3       {result.s3}  (bucket {result.bucket})")
        elif not result.started:
            self.output.line(f"the embedded platform runs already: MLflow on {result.tracking_uri}")

    def _service_runs(self, result: ServiceRuns) -> None:
        of = "" if result.started_by == "up" else f", by `passerelle {result.started_by}`, and stays after Ctrl-C"
        self.output.line(f"API      {result.address}/docs  ({result.bento_tag}{of})")
        self.output.line(f"Page     {result.address}/  to try the model in a browser")
        if result.record is not None:
            body = shlex.quote(json.dumps(result.record, ensure_ascii=False))
            request = f"curl -H 'Content-Type: application/json' -d {body} {result.address}{CLASSIFY}"
            self.output.line(f"         {for_shell(request)}")

    def _stack_runs(self, result: StackRuns) -> None:
        self.output.line(f"MLflow      {result.mlflow}   user admin, password in {result.password_file}")
        self.output.line(f"S3          {result.s3 or 'AWS'}")
        self.output.line(f"Prometheus  {result.prometheus}")

    def _of_others(self, result: OfOthers) -> None:
        self.output.line(f"  {result.of_others}: it stays there, and the demo trains and promotes nothing")
        self.output.line("  a demo of its own beside it:")
        self.output.line("    PASSERELLE_REGISTERED_MODEL=demo PASSERELLE_EXPERIMENT=demo make demo")

    def _answer(self, result: FirstAnswer) -> None:
        answer = result.answer
        certainty = "" if answer.get("probability") is None else f"{answer['probability']:.0%}, "
        # The fields' values are the training's data.
        fields = ", ".join(result.fields)
        request, of = (f'{{"text": "{result.comment}"}}', f"'{result.comment}'") if result.comment else ("the first golden input", fields)
        self.output.line(f"  POST /classify   {request}")
        self.output.line(f"  {of}  →  '{answer['label']}'   ({certainty}version {answer['model_version']})")

    def _nothing(self, result: NothingInProduction) -> None:
        name, alias = result.registered_model, result.alias
        self.output.line(f"No service: nothing is in production, as no version of {name} holds the alias {alias}. Next:")
        for command, does in result.next_commands:
            self.output.line(f"  {command}")
            self.output.line(f"      {does}")

    def _not_served(self, result: NotServed) -> None:
        print_error(result.error, as_json=False)
        self.output.line("No service: what is in production cannot be served. The platform stays on, so that it can be mended;")
        self.output.line("then, in another terminal: passerelle import; passerelle build; passerelle deploy")
