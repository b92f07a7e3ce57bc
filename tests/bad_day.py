"""Write docs/bad-day.md: each fault, what happens, and the test that shows it: `python -m tests.bad_day`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests import file_faults, operating_faults, organisation_faults, whole_tables_faults

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "bad-day.md"
_HEAD = """# A bad day

What happens when something fails, or somebody means ill. Each row is shown by the test that it names; the page is written by

```
.venv/bin/python -m tests.bad_day
```
"""


class Row(NamedTuple):
    """A fault, what happens then, and the test that shows it, by its file below tests/ and its name."""

    fault: str
    happens: str
    test: str


PROCESS = (
    Row(
        "The folder of temporary files is full, or is emptied",
        "Every request is answered, metrics too; workers start; counts without room are kept in memory and written once there is room",
        "integration/test_worker_end.py::test_a_service_outlives_a_full_and_an_emptied_disk_and_ends_with_its_parent",
    ),
    Row(
        "The process that started the workers is killed",
        "The workers end, and the port is free",
        "integration/test_worker_end.py::test_a_service_outlives_a_full_and_an_emptied_disk_and_ends_with_its_parent",
    ),
    Row(
        "The number of a process that ended is another one's now",
        "It is not taken for what ran before: a process is known by its number and its start",
        "unit/platform/test_state.py::test_a_process_that_ended_counts_no_more_even_where_its_number_is_used_again",
    ),
    Row(
        "The port is taken",
        "One sentence says which process has it",
        "integration/test_worker_end.py::test_a_service_outlives_a_full_and_an_emptied_disk_and_ends_with_its_parent",
    ),
    Row(
        "The disk of the access log is full",
        "The log goes on once there is room, and says how many lines are missing",
        "unit/monitoring/test_access_log.py::test_lines_go_on_after_a_full_disk_with_the_count_of_those_that_were_lost",
    ),
    Row(
        "A client sends a long or unclean method, path or trace",
        "Lines of the access log are bounded, and hold nothing that a client made up",
        "unit/monitoring/test_access_log.py::test_a_line_is_bounded_whatever_a_client_sends_as_its_method",
    ),
    Row(
        "A worker is killed",
        "It is replaced; what it was answering is lost, and nothing else",
        "e2e/test_faults.py::test_a_killed_worker_is_replaced_and_no_other_request_fails",
    ),
    Row(
        "The working folder is read-only",
        "The service starts and answers: it writes nothing there",
        "e2e/test_bad_day.py::test_loopback_is_loopback_in_both_protocols",
    ),
    Row(
        "The clock jumps a day ahead or back",
        "Rate limits and time limits do not notice; the access log has the new time; a key is valid when the clock says so",
        "e2e/test_bad_day.py::test_all_workers_hold_one_limit_and_the_clock_changes_nothing",
    ),
    Row(
        "A key expires by a clock that is set back afterwards",
        "It is valid again within a second",
        "e2e/test_bad_day.py::test_an_expired_key_is_none_and_is_one_again_when_the_clock_is_set_back",
    ),
)
HTTP = (
    Row(
        "A trailer holds `Authorization`",
        "It is dropped; no trailer becomes a header",
        "unit/serving/test_http_letter.py::test_trailers_never_become_headers",
    ),
    Row(
        "`Host`, `Authorization`, `Content-Type` or `Content-Encoding` is there twice",
        "400 with the error envelope, and a line in the access log",
        "unit/serving/test_http_letter.py::test_a_header_that_decides_is_there_once",
    ),
    Row(
        "A proxy and the service might read a head in two ways: another transfer coding, another version, two lengths",
        "400 or 501, and the connection ends",
        "unit/serving/test_http_letter.py::test_a_header_that_decides_is_there_once",
    ),
    Row(
        "A web socket is asked for",
        "The offer is ignored, and the request answered by its rules and logged",
        "unit/serving/test_http_letter.py::test_a_web_socket_is_an_offer_like_any_other",
    ),
    Row(
        "A method or a path that there is none of, on any page",
        "The one envelope, with a line in the access log",
        "e2e/test_contract_live.py::test_every_refusal_has_the_one_envelope",
    ),
    Row(
        "Somebody without a key reads `/docs`, `/openapi.json`, `/docs.json` or `/schema.json`",
        "All four follow one rule, and are open",
        "e2e/test_contract_live.py::test_the_documents_of_the_contract_follow_one_rule_of_access",
    ),
    Row(
        "A client is still sending when its body is refused",
        "It reads 413: the rest is read on within bounds",
        "unit/serving/test_http_letter.py::test_who_is_still_sending_reads_the_refusal",
    ),
    Row(
        "Bytes that are no HTTP, lengths that lie, ranges that are none",
        "Each is answered, and so is the next request",
        "e2e/test_raw_bytes.py::test_it_is_answered_and_the_next_one_too",
    ),
    Row(
        "A client offers HTTP/2 with its request, as Java's does",
        "The request is answered in HTTP/1.1, with its body",
        "unit/serving/test_http_letter.py::test_an_offer_of_another_protocol_is_ignored",
    ),
    Row(
        "Go's and Java's own clients: kept connections, 413 while sending, 401, `Expect`, large batches",
        "Each answer is read",
        "e2e/test_go_and_java.py::test_javas_client_reads_every_answer",
    ),
    Row("HEAD", "It is answered wherever GET is", "e2e/test_raw_bytes.py::test_head_is_answered_wherever_get_is"),
    Row(
        "SIGTERM under traffic",
        "Answers close their connections for a second; afterwards nobody new can connect, and no connection is reset",
        "e2e/test_drain.py::test_a_kept_connection_is_told_to_close_before_it_is_closed",
    ),
    Row(
        "The name of a model or a text holds HTML or a script",
        "It is shown as text; the pages' content security policy lets a browser run their own scripts and no others",
        "unit/serving/pages/test_app.py::test_a_browser_runs_the_scripts_of_the_page_and_no_other",
    ),
    Row(
        "Hundreds of requests come byte by byte at the same time",
        "A few of them are read in a turn, and all are answered",
        "unit/serving/test_reading_turns.py::test_heads_that_come_byte_by_byte_are_all_answered",
    ),
    Row(
        "Heads without end",
        "431 or 408, and an honest client does not notice",
        "e2e/test_heads.py::test_headers_without_end_disturb_nobody",
    ),
    Row(
        "Any bytes as a body or on a connection, as a fuzzer that looks for new paths draws them",
        "The contract's answer or its refusal, at a bounded cost",
        "fuzz/test_fuzz.py::test_nothing_breaks_and_new_paths_are_found",
    ),
    Row(
        "340,000 empty records",
        "They are counted on the bytes up to the first excess, and refused before any is built",
        "unit/serving/test_batch_reader.py::test_340_000_empty_records_are_refused_after_the_first_of_them",
    ),
    Row(
        "A megabyte of numbers of 999 digits, or of spaces",
        "It is counted in linear time, in slices, and refused",
        "unit/serving/test_text_cost.py::test_no_body_costs_much_more_to_refuse_than_a_good_one_to_read",
    ),
    Row(
        "Somebody reads `/metrics` without a pause",
        "All who ask in a quarter of a second get one text, rendered between other requests",
        "unit/monitoring/test_metrics_text.py::test_who_asks_without_a_pause_gets_no_more_than_four_texts_a_second_and_none_of_an_earlier_moment",
    ),
    Row(
        "Somebody without a key reads `/openapi.json`, `/docs.json` or `/schema.json` without a pause",
        "Each is made once for a model",
        "unit/serving/test_documents.py::test_a_document_is_made_once_for_each_model",
    ),
    Row(
        "Large batches by another protocol",
        "They are read and scored in slices, as the service's own",
        "unit/serving/doors/test_slices.py::test_a_large_batch_is_read_in_slices",
    ),
    Row(
        "A megabyte of elements in a binary tensor",
        "Their number is bounded before they are unpacked, in slices",
        "unit/serving/doors/test_slices.py::test_more_elements_than_the_arrays_of_a_request_may_have_are_not_unpacked",
    ),
    Row(
        "A megabyte of empty lines or of commas as CSV",
        "Lines are read in slices; one of too many commas is refused before its cells are made",
        "unit/serving/doors/test_slices.py::test_empty_lines_are_read_in_slices_too",
    ),
    Row(
        "Arrays nested hundreds deep",
        "They are refused",
        "unit/serving/doors/test_slices.py::test_arrays_nested_too_deeply_are_refused",
    ),
    Row(
        "Batches of 1,000 records, one after the other",
        "They are read and scored in slices; short requests are answered in between",
        "unit/serving/test_batch_reader.py::test_a_large_batch_is_read_in_slices",
    ),
    Row(
        "Requests at several workers",
        "One rate limit holds for all of them together",
        "e2e/test_bad_day.py::test_all_workers_hold_one_limit_and_the_clock_changes_nothing",
    ),
    Row(
        "`X-Forwarded-For` of somebody who is no named proxy",
        "It decides nothing",
        "unit/serving/test_access_addresses.py::test_who_has_no_key_is_limited_by_address",
    ),
    Row(
        "`X-Forwarded-For` with garbage, ports, many hops, or contradicted by `Forwarded`",
        "The last hop that is no named proxy counts; where it is no address, the client is unknown",
        "unit/serving/test_client_address.py::test_the_last_hop_that_is_no_proxy_counts",
    ),
    Row(
        "A proxy on the same machine is named",
        "What it sends on needs a key, though it comes in on loopback",
        "unit/serving/test_access_addresses.py::test_what_comes_through_a_named_proxy_is_not_local",
    ),
    Row(
        "IPv6 and a Unix socket",
        "`::1` is loopback; a Unix socket is not, and needs a key",
        "unit/serving/test_http_letter.py::test_a_unix_socket_is_served_and_is_no_loopback",
    ),
    Row(
        "A web page gives its own name the address of the visitor's machine, or sends requests there (DNS rebinding, CSRF)",
        "A service that asks for no key on loopback answers 421 and 403",
        "unit/serving/test_local_names.py::test_only_requests_that_need_no_key_because_they_are_local_are_checked",
    ),
    Row(
        "Keys are guessed",
        "A hash is computed and compared in constant time, whether the key's id is known or not",
        "unit/test_api_keys.py::test_whatever_is_given_as_a_key_one_hash_is_compared_in_constant_time",
    ),
)
#: The parts of the page.
SECTIONS: Mapping[str, Sequence[Row]] = {
    "The process and where it runs": [*PROCESS, *(Row(*each) for each in operating_faults.LASTING)],
    "Files that are edited, replaced or damaged": [Row(*each) for each in file_faults.FILES],
    "HTTP and hostile clients": HTTP,
    "On a cluster": [Row(*each) for each in operating_faults.CLUSTER],
    "Storage and backups": [Row(*each) for each in operating_faults.STORAGE],
    "Watched": [Row(*each) for each in operating_faults.WATCHED],
    "Inside an organisation": [Row(*each) for each in organisation_faults.ORGANISATION],
    "Whole tables and the flow": [Row(*each) for each in whole_tables_faults.TABLES],
}


def page() -> str:
    """Return the page."""
    parts = [_HEAD]
    for title, rows in SECTIONS.items():
        lines = [f"| {row.fault} | {row.happens} | `tests/{row.test.partition('::')[0]}` |" for row in rows]
        parts += [f"## {title}\n", "| fault | what happens | shown by |\n|---|---|---|", "\n".join(lines) + "\n"]
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(page())
