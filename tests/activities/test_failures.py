"""What Temporal records of an exception that nobody foresaw."""

from temporalio.api.failure.v1 import Failure
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError

from activities.failures import RedactingFailureConverter
from activities.redaction import HIDDEN

SECRET = "ghs_16C7e42F292c6912E7710c838347Ae178B4a"


def test_no_secret_goes_into_a_history_with_a_failure():
    """Message, cause and trace; type and the rest stay."""
    try:
        try:
            raise ValueError(f"cannot use {SECRET}")
        except ValueError as error:
            raise ApplicationError(f"no: {SECRET}", type="Some", non_retryable=True) from error
    except ApplicationError as error:
        failure = Failure()
        RedactingFailureConverter().to_failure(
            error, DataConverter.default.payload_converter, failure
        )
    text = str(failure)
    assert SECRET not in text
    assert failure.message == f"no: {HIDDEN}"
    assert failure.cause.message == f"cannot use {HIDDEN}"
    assert failure.application_failure_info.type == "Some"
    assert failure.application_failure_info.non_retryable
