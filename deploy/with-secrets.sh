#!/bin/sh
# Runs a command with the secrets that are in files, as Docker mounts them, in its environment.
set -eu
secrets="${SECRETS:-/run/secrets}"
if [ -r "$secrets/postgres_password" ]; then
    PGPASSWORD="$(cat "$secrets/postgres_password")"
    export PGPASSWORD
fi
if [ -r "$secrets/broadcast_token" ]; then
    PARTYLINE_BROADCAST_TOKEN="$(cat "$secrets/broadcast_token")"
    export PARTYLINE_BROADCAST_TOKEN
fi
exec "$@"
