"""HTTP at the gate: verify, decide, start or signal. No rule of business lives here."""
