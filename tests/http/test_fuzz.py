"""Every operation, called with what its own description allows and with what it forbids."""

import secrets
import time
from collections.abc import Callable

import hypothesis
import pytest
import schemathesis
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import *

from tests.conftest import Person, any_address


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_x(mode, app_url, new_person, subtests):
    from function_app import app
    from shared import openapi

    d = openapi.describe(app.routes)
    for path in d["paths"].values():
        for o in path.values():
            o["parameters"] = [q for q in o["parameters"] if q["name"] != "X-Request-Id"]
    schema = schemathesis.openapi.from_dict(d)
    schema.config.update(base_url=app_url)
    schema.config.generation.update(with_security_parameters=False)
    people = [new_person]
    stats = {}
    for result in schema.get_all_operations():
        operation = result.ok()
        t = time.time()
        me = new_person()
        codes = []

        @hypothesis.settings(
            max_examples=60,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
            phases=[hypothesis.Phase.generate],
        )
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        def run(case: Case) -> None:
            r = case.call(headers={**me.headers, "X-Forwarded-For": any_address()})
            codes.append(r.status_code)
            case.validate_response(
                r,
                checks=[
                    not_a_server_error,
                    status_code_conformance,
                    content_type_conformance,
                    response_headers_conformance,
                    response_schema_conformance,
                    negative_data_rejection,
                ],
            )

        with subtests.test(operation.label):
            try:
                run()
            except hypothesis.errors.Unsatisfiable as e:
                print("UNSAT", operation.label)
            finally:
                from collections import Counter

                print(operation.label, dict(Counter(codes)), round(time.time() - t, 2))
