#!/bin/sh
# Makes Temporal's two databases, or brings them to this version's schema. Safe to repeat.
set -eu
SQL_PASSWORD="$(cat /run/secrets/postgres-password)"
export SQL_PASSWORD
schema=/etc/temporal/schema/postgresql/v12
for pair in temporal:temporal temporal_visibility:visibility; do
  SQL_DATABASE="${pair%%:*}"
  export SQL_DATABASE
  temporal-sql-tool create-database
  temporal-sql-tool setup-schema --version 0.0
  temporal-sql-tool update-schema --schema-dir "$schema/${pair##*:}/versioned"
done
