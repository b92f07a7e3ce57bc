"""Faults inside an organisation, as docs/bad-day.md lists them: what fails, what happens, and the test that shows it."""

from __future__ import annotations

_ARCHIVE = "unit/rollout/test_offline_archive.py::"

ORGANISATION = (
    (
        "An archive for machines without a network was cut short",
        "It is refused before anything is loaded",
        _ARCHIVE + "test_cut_short_anywhere_it_is_refused",
    ),
    (
        "It holds another file, or lacks the signature that is required",
        "It is refused, and nothing of it is used",
        _ARCHIVE + "test_the_signature_is_for_what_the_archive_holds",
    ),
    (
        "A byte of it was changed",
        "The file that holds it is named, and nothing is loaded",
        _ARCHIVE + "test_a_changed_byte_of_any_file_is_found",
    ),
    (
        "The package index asks for a password",
        "It is a secret of the build, and in no layer",
        "integration/test_build_secrets.py::test_the_index_gets_the_password_and_no_layer_does",
    ),
    (
        "The package index answers with a page",
        "It is said without the password, and there is no image",
        "integration/test_build_secrets.py::test_an_index_that_answers_by_a_page_is_said_without_the_password",
    ),
    (
        "A page of a proxy or of a sign-in answers in the place of MLflow or S3",
        "One sentence says so, with the setting of the address; S3's page is not taken for an empty bucket",
        "unit/registry/test_reachable.py::test_why_it_is_not_reached",
    ),
    (
        "The authorities' file of a command is missing or no PEM, or the server's certificate is not trusted",
        "One sentence says which, and `passerelle doctor` names the file",
        "unit/registry/test_reachable.py::test_why_it_is_not_reached",
    ),
    (
        "The authorities to trust are no PEM",
        "The file is refused by name",
        "unit/bentos/test_build_secrets.py::test_authorities_that_are_not_pem_are_refused_by_name",
    ),
    (
        "Somebody asks under which licence a package of the image is, or what its hash is",
        "The SBOM has both, Debian's packages included; what nothing states is NOASSERTION",
        "unit/bentos/test_sbom.py::test_hashes_are_those_of_the_lock",
    ),
    (
        "A replica is broken into that serves a pinned version",
        "It holds no key of S3 or MLflow, and reaches neither",
        "integration/test_stack_config.py::test_pinned_replicas_reach_what_asks_them_and_nothing_else",
    ),
    (
        "The account of a service that follows is stolen",
        "It reads the registry, and may do nothing else",
        "integration/test_mlflow_accounts.py::test_the_services_account_reads_the_registry_and_nothing_else",
    ),
    (
        "The S3's clock is wrong, everybody may list its bucket, or it ignores conditional writes",
        "`passerelle doctor` names each as a fault",
        "unit/doctor/test_servers.py::test_an_s3_with_another_clock_that_everybody_may_list_and_that_ignores_conditions",
    ),
    (
        "Six faults are planted in what the project needs",
        "`passerelle doctor` finds each, with what mends it",
        "integration/test_doctor.py::test_six_planted_faults_are_found_with_what_mends_them",
    ),
    (
        "What `passerelle doctor` asks never answers",
        "It is a fault after its limit, and the other probes are shown",
        "unit/doctor/test_side_by_side.py::test_one_that_hangs_costs_the_bound_and_hides_no_other",
    ),
    (
        "`passerelle doctor` without any server, or with half of them",
        "What does not answer is a fault; what needs it was not tried, and all else is shown",
        "unit/doctor/test_servers.py::test_servers_that_are_off_are_faults_and_what_needs_them_was_not_tried",
    ),
    (
        "`passerelle doctor` with wrong keys",
        "One fault says that S3 refuses them; what needs S3 was not tried, and MLflow is examined all the same",
        "integration/test_doctor.py::test_wrong_keys_are_a_fault_and_the_ledger_was_not_tried",
    ),
    (
        "A user of the cluster lacks a right that a deployment needs",
        "`passerelle doctor` names verb, kind and namespace",
        "integration/test_doctor.py::test_a_right_that_a_deployment_lacks_is_named",
    ),
    (
        "The file of a secret is missing, empty, too large or no text",
        "It is named and not quoted",
        "unit/test_secret_variables.py::test_a_file_that_holds_no_secret_is_named_and_not_quoted",
    ),
    (
        "The proxy is given another kind of certificate than there is, or one for an address without TLS",
        "Its configuration is refused, and what is wrong is named",
        "integration/test_proxy_certificates.py::test_what_it_is_told_is_usable_or_refused",
    ),
    (
        "The machine reaches no ACME server",
        "Nobody is asked unless the setting says so",
        "integration/test_proxy_certificates.py::test_the_stack_asks_no_acme_server_unless_it_is_told_to",
    ),
)
