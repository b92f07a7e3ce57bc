"""Faults of whoever operates the platform, for docs/bad-day.md: each fault, what happens, and the test that shows it."""

from __future__ import annotations

_WHOSE = "cluster/test_whose_cluster.py::"
_REASONS = "unit/rollout/test_pod_reasons.py::"
_ALERTS = "stack/test_stack_alerts.py::test_each_alert_of_the_platform_fires_when_what_it_watches_breaks"
_PRUNE = "integration/test_prune.py::"

#: Of the process, over hours.
LASTING = (
    (
        "Millions of requests come for an hour, each with another text",
        "Memory stays within 8 MiB of what it was after the first minute, descriptors and threads do not grow, and none fails; "
        "`python -m loadtests.soak` measures it",
        "loadtests/test_soak.py::test_memory_is_held_to_what_it_was_after_a_minute",
    ),
)

CLUSTER = (
    (
        "An image holds another model than its deployment says, however it is applied",
        "It never gets ready and answers nobody; its log names both digests",
        _WHOSE + "test_an_image_that_holds_another_model_answers_nobody",
    ),
    (
        "An image cannot be pulled",
        "It is said of the newest pod, long before the deadline; what ran goes on",
        _REASONS + "test_what_the_newest_pod_waits_for_is_said_long_before_the_deadline",
    ),
    (
        "A quota of the namespace is too small",
        "One sentence says what one pod more needs and what is in use; nothing changed",
        _WHOSE + "test_a_quota_that_is_too_small_is_said_before_anything_changes",
    ),
    (
        "An overlay has a typo",
        "One sentence says file and key",
        "integration/test_overlay_faults.py::test_a_typo_is_said_in_one_sentence_with_its_place",
    ),
    (
        "Who deploys has the rights of one namespace",
        "They are enough",
        _WHOSE + "test_who_deploys_has_no_right_outside_of_the_namespace",
    ),
    (
        "Argo CD, Flux or Helm keeps the deployment",
        "A direct deployment is refused: `--render DIR` writes what to commit",
        _WHOSE + "test_what_a_repository_keeps_is_not_rolled_out_directly",
    ),
    (
        "A foreign pod is in the namespace",
        "No policy, budget or Service reaches it",
        _WHOSE + "test_a_foreign_pod_is_left_alone_and_a_random_user_runs_the_image",
    ),
    (
        "A cluster chooses the user of each pod, as OpenShift does",
        "The image runs as any user; the overlay for OpenShift names none",
        "integration/test_overlays.py::test_the_overlay_for_openshift_names_no_user_and_nothing_that_restricted_v2_refuses",
    ),
    (
        "The secret for the image registry is missing in the namespace",
        "It is said before anything changes",
        "integration/test_cluster_settings.py::test_a_pull_secret_that_is_missing_is_said_before_anything_changes",
    ),
)

STORAGE = (
    (
        "`mlflow gc` says that it deleted, and every object stays",
        "`passerelle prune` hides what nobody needs, brings it back if asked, and frees it after 30 days",
        _PRUNE + "test_what_nobody_needs_is_hidden_then_freed_and_all_else_stays",
    ),
    (
        "Somebody promotes, or registers a run, while `prune` decides",
        "It ends and changes nothing; a run that is needed meanwhile stays",
        _PRUNE + "test_a_promotion_holds_it_back_and_a_run_that_is_needed_meanwhile_stays",
    ),
    (
        "`prune` is pointed at the bucket of another server, or at one without former versions",
        "It is refused",
        _PRUNE + "test_it_refuses_a_bucket_without_former_versions_and_the_bucket_of_another_server",
    ),
    (
        "The workbench's key is to remove a version of an object for good",
        "S3 refuses: only the pruner may, and nobody in the ledger",
        "stack/test_stack.py::test_each_user_may_do_what_it_needs_and_nothing_else",
    ),
    (
        "MinIO's administrator is to remove a version of a ledger's entry",
        "S3 refuses, unless the request says that the lock is to be bypassed",
        "stack/test_stack.py::test_nobody_removes_a_version_of_an_entry_without_saying_that_the_lock_is_to_be_bypassed",
    ),
    (
        "An S3 server does not know the lifecycle rule",
        "One sentence says so, and the platform starts",
        "integration/test_another_s3.py::test_a_lifecycle_rule_that_it_does_not_know_is_told_in_one_sentence",
    ),
    (
        "A backup comes from a newer passerelle, PostgreSQL or MLflow",
        "It is refused by name before anything is touched",
        "unit/rollout/test_backup.py::test_a_backup_of_something_newer_is_refused_by_name_before_anything_is_touched",
    ),
    (
        "A backup comes from PostgreSQL 16, and the stack runs 17",
        "It is restored; docs/storage.md says in which order to type the commands",
        "unit/rollout/test_backup.py::test_a_backup_of_the_postgresql_and_the_schema_before_is_restored",
    ),
    (
        "A backup turns out to be damaged while `restore --verify` tries it",
        "It is said, the scratch stack is removed with its volumes, and the stack that runs is left alone",
        "unit/rollout/test_scratch_stack.py::test_a_backup_that_cannot_be_restored_leaves_no_scratch_stack_and_the_one_that_runs_alone",
    ),
    (
        "A restore is interrupted",
        "The same command goes on; MLflow is given no database that is half restored",
        "integration/test_restore_steps.py::test_a_restore_goes_on_wherever_it_was_broken_off",
    ),
    (
        "Somebody asks for what they wrote to be erased",
        "`passerelle erase` removes it from every place, and an answer that arrives later is left out",
        "unit/stages/test_erase.py::test_an_answer_is_removed_from_every_place",
    ),
    (
        "The key of an encrypted backup is missing or another one",
        "It is refused, and nothing decrypted is left",
        "unit/rollout/test_backup.py::test_an_encrypted_backup_is_restored_with_its_key_alone",
    ),
    (
        "A scheduled backup fails",
        "It is counted and said, tried again after five minutes, and no older one is removed",
        "unit/stages/test_scheduled_backup.py::test_a_failure_is_counted_and_said_and_leaves_all_that_was_there",
    ),
)

WATCHED = (
    ("MLflow, PostgreSQL, S3 or the proxy stops", "An alert of its own for each", _ALERTS),
    (
        "A disk is full, a certificate expires, the last backup is old, the ledger was edited",
        "An alert for each, with the command to type",
        _ALERTS,
    ),
    (
        "Requests fail or wait, most answers need a person, a disk fills up, a model is old, an Alertmanager or a prober is gone",
        "An alert for each",
        _ALERTS,
    ),
    (
        "A roll-out stops half-way, and the replicas serve different versions",
        "An alert after ten minutes",
        "stack/test_stack_rollout.py::test_a_new_version_and_the_way_back_fail_no_request",
    ),
    (
        "Probes ask each second",
        "Those that are answered leave no line in the access log",
        "unit/serving/test_probes_unlogged.py::test_probes_that_are_answered_do_not_fill_the_access_log",
    ),
    (
        "The prober's check of a ledger breaks off, as where a package is missing in its image",
        "Its log holds the error, and after four hours an alert says that the ledger is not verified",
        "integration/test_prober_ledgers.py::test_it_is_the_error_at_the_end_of_a_traceback_or_the_answer",
    ),
    (
        "Code that was edited is built again for the same version",
        "The image gets another tag; its label says where files were not committed",
        "unit/bentos/test_code.py::test_a_change_in_any_room_of_the_bento_changes_the_digest",
    ),
    (
        "`docker image prune` removed the image of the service",
        "`passerelle up --target compose` starts everything else, and says how to serve again",
        "unit/rollout/test_lost_image.py::test_replicas_whose_image_was_pruned_stop_nobody_else",
    ),
    (
        "Nothing was deployed yet",
        "The platform starts without a model, and the proxy answers 503 with `unavailable`",
        "stack/test_stack.py::test_an_empty_registry_is_no_error",
    ),
    (
        "A second clone on the same machine builds other code",
        "The tags of the first stay: a tag ends with a digest of the code",
        "unit/bentos/test_code.py::test_a_second_clone_cannot_move_the_tags_of_the_first",
    ),
    (
        "A password of the stack is changed",
        "`passerelle up --target compose` starts again what reads it, and nothing else",
        "unit/rollout/test_secret_changes.py::test_what_reads_a_changed_password_is_started_again_once",
    ),
    (
        "`docker compose up` in a clone that was never set up",
        "It says what to run, before anything is made",
        "integration/test_stack_config.py::test_a_stack_that_was_not_set_up_says_what_to_run",
    ),
    (
        "A replica hangs",
        "A single record that waits on it is asked of the other one after four seconds; later requests do not wait",
        "stack/test_stack_rollout.py::test_a_replica_that_hangs_is_taken_out",
    ),
    (
        "A part of the stack is killed",
        "It is started again. Requests fail only where it was the proxy, for less than five seconds",
        "stack/test_stack_rollout.py::test_whatever_is_killed_comes_back",
    ),
    (
        "A setting of the stack's proxy has a typo, or names a certificate that is not there",
        "It is refused by its name, with what is allowed, before anything starts",
        "unit/rollout/test_proxy_settings.py::test_a_value_that_the_proxy_would_not_start_with",
    ),
)
