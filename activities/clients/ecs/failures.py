"""What a RunTask that started nothing means: later, elsewhere, never, or nobody knows.

Sources: the reasons of `failures[]` in "API failure reasons" of Amazon ECS's developer guide; the
errors of RunTask in its API reference; botocore's codes of throttling.
"""

from typing import Literal

Verdict = Literal["elsewhere", "later", "never", "unknown"]

# `failures[].reason` begins with one of these; what is not known is worth another place.
NEVER = (
    "InvalidParameter",
    "PlatformUnknown",
    "PlatformTaskDefinitionIncompatibility",
    "ClusterNotFound",
    "AccessDenied",
    "Blocked",
    "TaskDefinitionInactive",
    "INACTIVE",
)
THROTTLED = (
    "ThrottlingException",
    "Throttling",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "LimitExceededException",
    "ThrottledException",
)
REFUSED = (
    "AccessDeniedException",
    "BlockedException",
    "ClusterNotFoundException",
    "InvalidParameterException",
    "PlatformTaskDefinitionIncompatibilityException",
    "PlatformUnknownException",
    "UnsupportedFeatureException",
    "UnrecognizedClientException",
    "InvalidSignatureException",
    "ExpiredTokenException",
    "MissingAuthenticationTokenException",
)
# ECS has no code of its own for these: a ClientException, or InvalidParameter, that says so.
QUOTAS = ("limit on the number of", "reached the limit", "quota", "rate exceeded")
NO_ROOM = ("capacity is unavailable", "capacity is currently unavailable")
MENDS = {
    "AccessDeniedException": "the worker's role wants ecs:RunTask and iam:PassRole",
    "ClusterNotFoundException": "set ecs.cluster",
    "UnrecognizedClientException": "check the worker's AWS credentials",
    "ExpiredTokenException": "check the worker's AWS credentials",
    "ClientException": "check ecs.task_definition",
}


def of_failure(reason: str, detail: str = "") -> Verdict:
    """What one entry of `failures[]` means. The task was not started."""
    said = f"{reason} {detail}".lower()
    if any(sign in said for sign in (*QUOTAS, *NO_ROOM)):
        return "elsewhere"
    return "never" if reason.startswith(NEVER) else "elsewhere"


def of_error(code: str, message: str, status: int) -> Verdict:
    """What an error of RunTask means. `status` is HTTP's; 5xx: it may have been started."""
    said = message.lower()
    if any(sign in said for sign in NO_ROOM):
        return "elsewhere"
    if code in THROTTLED or any(sign in said for sign in QUOTAS):
        return "later"
    if status >= 500:
        return "unknown"
    if code in REFUSED or code == "ClientException":
        return "never"
    return "unknown"


def told(code: str, message: str) -> str:
    """One line for an operator: the cause, and the mend where one is known."""
    said = " ".join(message.split())[:300]
    mend = MENDS.get(code, "")
    return f"ECS {code}: {said}" + (f" ({mend})" if mend else "")
