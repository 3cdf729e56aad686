"""Events on their way to the receiver: payload, signature, attempt, log, faults."""
