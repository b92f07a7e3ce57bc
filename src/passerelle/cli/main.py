"""The group of commands, in the order of the stages, and the only place that catches errors."""

from __future__ import annotations

import errno
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from passerelle.cli import operations, stages
from passerelle.cli.adopt_command import adopt
from passerelle.cli.bundle_command import bundle
from passerelle.cli.command_list import WholeSentences, write_section
from passerelle.cli.convert_command import convert
from passerelle.cli.doctor_command import doctor
from passerelle.cli.drift_command import drift
from passerelle.cli.feedback import feedback
from passerelle.cli.keys import keys
from passerelle.cli.log_commands import collect, erase
from passerelle.cli.loopback import keep_loopback_direct
from passerelle.cli.model_choice import ARGUMENTS, about_named_model
from passerelle.cli.new import new
from passerelle.cli.options import read_project_settings
from passerelle.cli.output import Output, echo, print_error
from passerelle.cli.prerequisites import without_workbench
from passerelle.cli.prune_command import prune
from passerelle.cli.rollout_command import rollout
from passerelle.cli.score_command import score
from passerelle.cli.server_choice import about_named_servers
from passerelle.cli.silence import no_long_silence
from passerelle.cli.usage_errors import plainer
from passerelle.errors import OutsideError, PasserelleError, SettingsError, UsageError

STAGES: Sequence[click.Command] = (
    stages.train,
    stages.compare,
    stages.register,
    stages.promote,
    stages.import_,
    stages.build,
    stages.containerize,
    stages.deploy,
    stages.serve,
    stages.monitor,
)
OPERATIONS: Sequence[click.Command] = (
    new,
    adopt,
    convert,
    operations.demo,
    operations.up,
    operations.env,
    operations.status,
    operations.history,
    operations.rollback,
    rollout,
    drift,
    operations.trace,
    operations.reproduce,
    feedback,
    collect,
    erase,
    score,
    doctor,
    operations.openapi,
    bundle,
    operations.backup,
    operations.restore,
    prune,
    keys,
)


#: As a shell says it of a command that SIGPIPE ended.
_BROKEN_PIPE = 128 + signal.SIGPIPE
#: What is wrong with a path that a person named.
_UNUSABLE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.EROFS)


class UnreadError(Exception):
    """Nobody reads what the command prints; Click would end it with the exit code of what is refused."""


@contextmanager
def read_by_somebody() -> Iterator[None]:
    """Raise an UnreadError in the place of a BrokenPipeError."""
    try:
        yield
    except BrokenPipeError as error:
        raise UnreadError from error


class Ordered(WholeSentences):
    """Lists its commands in the order of the stages, in two sections."""

    # ruff: noqa: ARG002 - click hands its context to each of these

    def make_context(self, *given: Any, **options: Any) -> click.Context:
        """Read the command line; `--help` is printed meanwhile."""
        with read_by_somebody():
            return super().make_context(*given, **options)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep what was typed, for a message that repeats it."""
        ctx.meta[ARGUMENTS] = tuple(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command, which is never silent for long; an error's hint is about the model and the servers that it was given."""
        try:
            with read_by_somebody(), no_long_silence(lambda: ctx.invoked_subcommand or "passerelle", lambda line: echo(line, err=True)):
                return super().invoke(ctx)
        except PasserelleError as error:
            error.hint = error.hint and about_named_model(about_named_servers(error.hint))
            raise

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, stages first."""
        return [str(command.name) for command in (*STAGES, *OPERATIONS)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the stages and the other commands as two sections."""
        for title, commands in (("The ten stages, in order", STAGES), ("Across the stages", OPERATIONS)):
            write_section(formatter, title, commands)


@click.group(
    cls=Ordered,
    invoke_without_command=True,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 done, 1 refused by the criteria or a check, 2 usage, 3 an outside system failed.",
)
@click.option("--version", "version_asked", is_flag=True, help="Print the version, its commit, and those of BentoML and MLflow.")
@click.option("--json", "as_json", is_flag=True, help="With --version: print them as one JSON object.")
@click.pass_context
def passerelle(context: click.Context, version_asked: bool, as_json: bool) -> None:
    """From an MLflow registry to a container in production."""
    if version_asked:
        from passerelle.cli.version import installed_version  # noqa: PLC0415 - reads the metadata of packages

        output, found = Output(as_json=as_json), installed_version()
        output.line(str(found))
        output.result(found)
        context.exit()
    if context.invoked_subcommand is None and not as_json:
        context.fail("Missing command.")
    if as_json:
        context.fail(f"--json goes after the command: passerelle {context.invoked_subcommand or 'COMMAND'} --json")
    keep_loopback_direct(context)
    if context.invoked_subcommand != new.name:
        read_project_settings(context, None, Path())


for _command in (*STAGES, *OPERATIONS):
    passerelle.add_command(_command)


def run(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave with its exit code; the only place that catches our errors.

    Exit codes: 0 done, 1 refused, 2 usage, 3 an outside system failed, 130 interrupted, 141 nobody reads what is printed.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        passerelle.main(args=given, prog_name="passerelle", standalone_mode=False)
    except PasserelleError as error:
        print_error(error, as_json="--json" in given)
        sys.exit(error.exit_code)
    except ModuleNotFoundError:
        lacking = without_workbench()
        if lacking is None:
            raise
        print_error(lacking, as_json="--json" in given)
        sys.exit(lacking.exit_code)
    except click.ClickException as error:
        plainer(error).show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("passerelle: interrupted; what was done so far is kept, and the same command goes on from there", err=True)
        sys.exit(130)
    except (UnreadError, BrokenPipeError):
        # What is left in the buffers is not tried again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_BROKEN_PIPE)
    except (OSError, UnicodeEncodeError) as error:
        failed = _of_the_system(error, given) if isinstance(error, OSError) else _of_the_locale(error)
        if failed is None:
            raise
        print_error(failed, as_json="--json" in given)
        sys.exit(failed.exit_code)


def _of_the_locale(error: UnicodeEncodeError) -> PasserelleError | None:
    """Return our error for a letter that the terminal's encoding lacks; None for one that UTF-8 lacks."""
    if error.encoding.lower().startswith("utf"):
        return None
    letter = ascii(error.object[error.start : error.start + 1])
    return SettingsError(f"the encoding of this locale, {error.encoding}, lacks the letter {letter}", hint="export PYTHONUTF8=1")


def _of_the_system(error: OSError, given: Sequence[str]) -> PasserelleError | None:
    """Return our error for what the operating system refused; None for an error that some library made, which has no number of it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutsideError(f"the disk is full: {error.filename or 'a file'} was not written", hint="df -h")
    if error.errno is None:
        return None
    if not isinstance(error.filename, str | bytes):
        return OutsideError(f"the operating system refuses: {error.strerror}", hint=_shows_limit(error.errno))
    path = Path(os.fsdecode(error.filename))
    named = [Path(word.partition("=")[2] or word) for word in given]
    kind = UsageError if path in named and error.errno in _UNUSABLE else OutsideError
    return kind(f"{path} cannot be used: {error.strerror}", hint=f"ls -ld {shlex.quote(str(path.absolute().parent))}")


def _shows_limit(number: int) -> str:
    """Return the command that shows what of this machine is used up."""
    if number in (errno.EMFILE, errno.ENFILE):
        return "ulimit -n; cat /proc/sys/fs/file-nr"
    if number in (errno.ENOMEM, errno.EAGAIN):
        return "free -m; ulimit -u"
    return "passerelle doctor"
