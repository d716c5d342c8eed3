"""The options of the commands, and their help."""

import argparse
import os
from collections.abc import Sequence
from typing import Any, NoReturn, override

from handler.version import VERSION

from .output import PROGRAM, print_message

_CANCEL_JOB = """\
examples:
  Show what would happen to a job, then cancel it. Devices that have started it continue:
    iot-job-canceler cancel-job --job-id firmware-2026-11 --dry-run
    iot-job-canceler cancel-job --job-id firmware-2026-11 --reason-code BAD_FIRMWARE --comment "Jo: ticket 42"

  Cancel it only if nothing has changed since the dry run, which prints the planId:
    iot-job-canceler cancel-job --job-id firmware-2026-11 --plan-id 0f3c5a7b9d1e2f4a6b8c0d2e4f6a8b1c

  Also cancel what devices have started. The stack's parameter Force must be true:
    iot-job-canceler cancel-job --job-id firmware-2026-11 --force

  Another stack, profile and Region:
    iot-job-canceler cancel-job --job-id firmware-2026-11 --stack-name lab --profile lab --region eu-central-1

  Fill in a file, and use it:
    iot-job-canceler cancel-job --generate-cli-skeleton > job.json
    iot-job-canceler cancel-job --cli-input-json file://job.json

exit codes:
  0  the job is settled: canceled, canceled or finished before, or gone
  1  the job is not settled, or the request was rejected; stderr says why
  2  wrong usage; nothing was sent
"""
_PLAN = """\
examples (the events are files of the repository, and `-` is stdin):
    iot-job-canceler plan --event events/select-request.json
    iot-job-canceler plan --event events/scheduled-scheduler.json --output json
    echo '{"cancel": {"select": {"jobIdGlob": "ota-*", "olderThanHours": 168}}}' | iot-job-canceler plan --event -

exit codes:
  0  the plan is complete, even if nothing would be canceled
  1  the event would be rejected, or the plan is incomplete; stderr says why
  2  wrong usage; nothing was sent
"""


class Options(argparse.Namespace):
    """The options of one command. Those of the other command are not set."""

    command: str
    stack_name: str
    region: str | None
    profile: str | None
    endpoint_url: str | None
    output: str | None
    job_id: str | None
    reason_code: str | None
    comment: str | None
    force: bool | None
    dry_run: bool
    plan_id: str | None
    cli_input_json: str | None
    generate_cli_skeleton: str | None
    event: str


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, and that accepts no abbreviated options, like the AWS CLI."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter)

    @override
    def error(self, message: str) -> NoReturn:
        print_message(f"{message}. See {self.prog} --help")
        raise SystemExit(2)


def parse_options(arguments: Sequence[str] | None) -> Options:
    """Parse the arguments of the command line. Ends the process with exit code 2 for wrong usage."""
    parser = _Parser(prog=PROGRAM, description="Cancel AWS IoT jobs with a deployed iot-job-canceler stack.")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_cancel_job(
        commands.add_parser(
            "cancel-job",
            help="cancel one job, with the options of `aws iot cancel-job`",
            description="Cancel one job: the function of the stack cancels it, and reads the result back.",
            epilog=_CANCEL_JOB,
        )
    )
    _add_plan(
        commands.add_parser(
            "plan",
            help="show what an event would cancel",
            description="Show what an event would cancel. The event is not sent: a dry run is sent in its place.",
            epilog=_PLAN,
        )
    )
    return parser.parse_args(arguments, Options())


def _add_cancel_job(parser: argparse.ArgumentParser) -> None:
    job = parser.add_argument_group("the job")
    job.add_argument("--job-id", metavar="ID", help="required, here or in --cli-input-json")
    job.add_argument("--comment", metavar="TEXT", help="saved in the job: write who you are, and why")
    job.add_argument("--reason-code", metavar="CODE", help="saved in the job: capital letters, digits and _")
    force = job.add_mutually_exclusive_group()
    force.add_argument(
        "--force",
        action="store_true",
        default=None,
        help="also cancel executions that devices have started. Default: as the stack's parameter Force",
    )
    force.add_argument("--no-force", action="store_false", dest="force", default=None, help="let them continue")
    job.add_argument("--dry-run", action="store_true", help="report what would happen, and cancel nothing")
    job.add_argument("--plan-id", metavar="ID", help="the planId of a dry run: cancel its jobs, or none")
    job.add_argument(
        "--cli-input-json", metavar="JSON|file://F", help="the job as JSON. Other options override its values"
    )
    job.add_argument(
        "--generate-cli-skeleton",
        nargs="?",
        const="input",
        choices=("input", "output"),
        help="print JSON to fill in, or check the options and print a sample output. AWS is not called",
    )
    _add_connection(parser, "json (default) or table")


def _add_plan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--event", metavar="FILE|-", required=True, help="an event as JSON, as in the folder events/")
    _add_connection(parser, "json or table. Default: a table on a terminal, JSON otherwise")


def _add_connection(parser: argparse.ArgumentParser, output: str) -> None:
    stack = parser.add_argument_group("the stack")
    stack.add_argument("--stack-name", metavar="NAME", default=PROGRAM, help=f"default: {PROGRAM}")
    # The SDK does not read AWS_REGION. The AWS CLI does, and a job is GONE in any Region but its own.
    region = os.environ.get("AWS_REGION") or None
    stack.add_argument("--region", metavar="REGION", default=region, help="default: as for the AWS CLI")
    stack.add_argument("--profile", metavar="NAME", help="a profile of the AWS configuration files")
    stack.add_argument("--endpoint-url", metavar="URL", help="of a local AWS")
    parser.add_argument("--output", choices=("json", "table"), help=output)
