"""Rows of docs/bad-day.md on files that are edited, replaced or damaged: fault, what happens then, and the test that shows it."""

from __future__ import annotations

FILES: tuple[tuple[str, str, str], ...] = (
    (
        "An entry of the key file is wrong",
        "The last good keys stay, and one line of the log says which entry and field",
        "unit/serving/test_access_control.py::test_keys_stay_as_they_were_while_the_file_is_unreadable",
    ),
    (
        "A pipe stands in the place of the key file",
        "Nobody waits; the last good keys stay",
        "unit/serving/test_access_control.py::test_a_pipe_in_place_of_the_file_keeps_nobody_waiting",
    ),
    (
        "A pipe, a folder, two gigabytes, another type, deep nesting, no text, a link to nothing or to itself stands in the place of a key"
        " file, criteria, a secret, `deploy/.env`, a file of a model, the state of what follows or of `drift`",
        "It is refused by a sentence, or done without; nobody waits",
        "unit/test_edited_files.py::test_it_is_refused_by_a_sentence",
    ),
    (
        "A pipe, a folder or an endless file stands in the place of another file that is read",
        "It is refused, or done without",
        "unit/test_regular_file.py::test_each_reader_of_such_a_file_says_so_or_does_without_it",
    ),
    (
        "The model's files are replaced after it was loaded",
        "Answers stay those of the loaded version",
        "e2e/test_bad_day.py::test_model_files_that_are_replaced_change_no_answer",
    ),
    (
        "The pipeline is needed for the first time, and its file was replaced",
        "It is not loaded; that request gets 503 with `model_changed`, and the log says which file",
        "unit/serving/test_without_pipeline.py::test_a_pipeline_that_was_replaced_after_the_load_is_never_asked",
    ),
    (
        "The file of the rate limits is removed",
        "It is made anew with its counts",
        "unit/serving/test_rate_limit.py::test_a_file_that_was_removed_is_made_anew_with_its_counts",
    ),
    (
        "The file of the rate limits is cut short or replaced",
        "Each worker allows its part of the limit, and says so once",
        "unit/serving/test_rate_limit.py::test_while_the_file_cannot_be_used_each_worker_allows_its_part",
    ),
)
