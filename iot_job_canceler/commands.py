"""Run a command, print its result, and return its exit code."""

import signal
from collections.abc import Sequence

from .cancel_job import INPUT_SKELETON, SAMPLE_OUTPUT, check_settled, output_of, request_from
from .errors import CommandFailed, WrongUsage
from .options import Options, parse_options
from .output import PROGRAM, is_terminal, print_json, print_line, print_message, print_table
from .plan import plan, read_event
from .stack import DeployedStack, connect


def main(arguments: Sequence[str] | None = None) -> int:
    """Return exit code 0 if the job is settled or the plan complete, 1 if not, 2 for wrong usage."""
    options = parse_options(arguments)
    try:
        if options.command == "cancel-job":
            _cancel_job(options)
        else:
            _plan(options)
    except WrongUsage as error:
        print_message(f"{str(error).rstrip('.')}. See {PROGRAM} {options.command} --help")
        return 2
    except CommandFailed as error:
        print_message(str(error))
        return 1
    except KeyboardInterrupt:
        print_message("interrupted: a request that was sent is not withdrawn")
        return 128 + signal.SIGINT
    return 0


def _cancel_job(options: Options) -> None:
    if options.generate_cli_skeleton == "input":
        print_json(INPUT_SKELETON)
        return
    job = {
        "jobId": options.job_id,
        "reasonCode": options.reason_code,
        "comment": options.comment,
        "force": options.force,
    }
    request = request_from(options.cli_input_json, job, plan_id=options.plan_id, dry_run=options.dry_run)
    if options.generate_cli_skeleton == "output":
        print_json(SAMPLE_OUTPUT)
        return
    report = _connect(options).invoke(request)
    output = output_of(report)
    if options.output == "table":
        print_table(("Key", "Value"), [(key, str(value)) for key, value in output.items()])
    else:
        print_json(output)
    if report["dryRun"] and not options.dry_run:
        print_message("nothing was canceled, because the stack's parameter DryRun is true")
    if output["outcome"] == "GONE":
        print_message(f"job {output['jobId']}: {output['detail']}; check the ID")
    check_settled(report)


def _plan(options: Options) -> None:
    event = read_event(options.event)
    stack = _connect(options)
    as_table = options.output == "table" or (options.output is None and is_terminal())
    if as_table:
        print_line(f"Plan of {options.event} on the stack {stack.name}, {stack.place}. Nothing is canceled.\n")
    plan(event, stack, as_table=as_table)


def _connect(options: Options) -> DeployedStack:
    return connect(
        options.stack_name, region=options.region, profile=options.profile, endpoint_url=options.endpoint_url
    )
