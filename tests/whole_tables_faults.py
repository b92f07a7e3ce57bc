"""Faults of whole tables, of Ray and of the flow, as docs/bad-day.md lists them: what fails, what happens, and the test that shows it."""

from __future__ import annotations

TABLES = (
    (
        "A table lacks a column, has it twice, is in UTF-16, is damaged, or has a quote that is never closed",
        "It is refused before anything is scored",
        "unit/batch/test_scored_split.py::test_a_table_that_cannot_be_scored_is_refused_before_anything_is",
    ),
    (
        "Files of one input differ in encoding, delimiter or format",
        "Each is read by itself, with the same answers",
        "unit/batch/test_scored_split.py::test_formats_delimiters_and_encodings_give_the_same_answers",
    ),
    (
        "Files of one input differ in their columns' order or types, or one lacks an optional column",
        "The same answers; rows whose text is none are refused one by one",
        "unit/batch/test_schemas.py::test_another_order_further_columns_and_other_types_give_the_same_answers",
    ),
    (
        "The lines of a table end in carriage returns alone, or its header is longer than 1 MiB",
        "It is refused before anything is scored, with the command that converts it",
        "unit/batch/test_hostile_tables.py::test_lines_that_would_not_be_found_are_refused_before_anything_is_scored",
    ),
    (
        "A cell holds a carriage return outside quotes, a text that is not UTF-8, or a year beyond 9999",
        "Its row is refused, and its neighbours are scored",
        "unit/batch/test_hostile_tables.py::test_a_value_that_python_does_not_have_costs_its_row_alone",
    ),
    (
        "A folder of the input cannot be read, a link leads nowhere, or a table is a pipe",
        "It is refused by name; nothing is left out without a word",
        "unit/stages/test_score_inputs.py::test_what_cannot_be_read_is_not_left_out",
    ),
    (
        "A scored file was removed, cut off, or replaced by another split's",
        "The same command scores it again, or names the file to remove",
        "unit/batch/test_job.py::test_another_file_in_the_place_of_a_scored_one_is_named",
    ),
    (
        "Two runs begin at once in one output folder, by other rules or models",
        "One of them ends with an error before anything is called complete",
        "unit/batch/test_job.py::test_two_runs_that_begin_at_once_in_one_folder_do_not_mix",
    ),
    (
        "A node of Ray answers for other rows, or with files of other names",
        "Nothing of its answer is written",
        "unit/batch/test_ray_tasks.py::test_an_answer_that_was_not_asked_for_is_not_kept",
    ),
    (
        "A row of CSV or JSON lines is longer than 16 MiB",
        "It is refused unread, and its neighbours are scored",
        "unit/batch/test_line_ranges.py::test_a_row_that_is_too_long_is_a_range_of_its_own",
    ),
    (
        "A cell of Parquet is larger than 1 MiB",
        "Its row is refused, and its neighbours are scored",
        "unit/batch/test_scored_split.py::test_a_huge_cell_of_parquet_is_refused_and_its_neighbours_are_scored",
    ),
    (
        "A prefix in S3 is empty, or the keys are refused",
        "One sentence says which",
        "integration/test_score.py::test_tables_lie_in_s3_and_the_result_goes_there",
    ),
    (
        "The disk of the output is full",
        "No incomplete file stays; what is written is kept, and the same command goes on",
        "unit/batch/test_job.py::test_a_full_disk_leaves_no_incomplete_file",
    ),
    (
        "`score` is killed in the middle",
        "The same command goes on to the same bytes",
        "integration/test_score.py::test_killed_in_the_middle_and_run_again_it_gives_the_same_output",
    ),
    (
        "A process that scores is killed for memory",
        "One sentence says so, with a way on",
        "integration/test_score.py::test_a_process_that_is_killed_for_memory_is_an_error_with_a_way_on",
    ),
    (
        "A node of Ray and a process of another are killed",
        "Their splits are scored again; no row is twice or missing",
        "integration/test_ray.py::test_a_node_and_a_process_are_lost_and_no_row_is",
    ),
    (
        "A split is lost or killed for memory each time it is begun",
        "After four times it is an error; Ray itself would try for ever",
        "unit/batch/test_ray_tasks.py::test_what_is_lost_each_time_is_an_error",
    ),
    (
        "Ray has another version or Python, or refuses the token",
        "One sentence says which, and what to type",
        "unit/batch/test_ray_cluster.py::test_a_cluster_that_refuses",
    ),
    (
        "What listens at the address of Ray never answers",
        "It is not waited for beyond the limit",
        "integration/test_ray.py::test_a_cluster_that_does_not_serve_is_told_in_words",
    ),
    (
        "Airflow's database is gone",
        "`make airflow` ends with the cause, without a traceback",
        "integration/test_airflow_dags.py::test_a_database_that_is_gone_is_an_error_with_its_cause",
    ),
    (
        "An event of Airflow's assets names no path, or the address of messages does not answer",
        "The task fails at once; the log holds the status and not the address",
        "integration/test_airflow_dags.py::test_a_task_follows_the_code_of_the_error_and_not_the_exit_code",
    ),
    (
        "A DAG runs without a registry, or a command finds a tampered model",
        "The task follows the code of the error: it is tried again, or fails at once",
        "integration/test_airflow_dags.py::test_a_task_follows_the_code_of_the_error_and_not_the_exit_code",
    ),
)
