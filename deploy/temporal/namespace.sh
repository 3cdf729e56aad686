#!/bin/sh
# Makes the namespace, once Temporal serves. Safe to repeat.
set -eu
tries=60
until temporal operator cluster health >/dev/null 2>&1; do
  tries=$((tries - 1))
  [ "$tries" -gt 0 ] || { echo "Temporal does not serve at $TEMPORAL_ADDRESS" >&2; exit 1; }
  sleep 2
done
if ! temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1; then
  # A job's workflow id is taken for as long: GitHub redelivers for three days.
  temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention 168h
fi
