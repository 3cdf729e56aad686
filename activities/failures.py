"""Failures as Temporal records them: without secrets, whoever raised them."""

from temporalio.api.failure.v1 import Failure
from temporalio.converter import DefaultFailureConverter, PayloadConverter

from activities.redaction import redacted


class RedactingFailureConverter(DefaultFailureConverter):
    """Temporal's own, with secrets blotted out of messages and traces before they are sent.

    An exception that nobody foresaw may quote what it was given; a history keeps it for months.
    """

    def to_failure(
        self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure
    ) -> None:
        """As the interface says; causes are converted the same way, each by itself."""
        super().to_failure(exception, payload_converter, failure)
        if failure.message:
            failure.message = redacted(failure.message)
        if failure.stack_trace:
            failure.stack_trace = redacted(failure.stack_trace)
