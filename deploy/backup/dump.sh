#!/bin/sh
# Dump MLflow's database whenever the container `backup` asks for it: PostgreSQL's own client, of the server's version, is in this image.
set -eu
folder=/var/lib/postgresql/exchange
mkdir -p "$folder"
export PGHOST="${POSTGRES_HOST:-postgres}" PGUSER=mlflow PGDATABASE=mlflow PGCONNECT_TIMEOUT=10
trap 'exit 0' TERM INT
while :; do
  for request in "$folder"/request.*; do
    [ -f "$request" ] || continue
    token=${request##*.}
    rm -f "$request"
    PGPASSWORD=$(cat /run/secrets/postgres_password)
    export PGPASSWORD
    if {
      pg_dump --format custom --file "$folder/.part" &&
        psql --no-psqlrc --tuples-only --no-align --command "SELECT current_setting('server_version_num')::int / 10000" >"$folder/origin"
    } 2>"$folder/.said"; then
      # MLflow has not made its schema yet where this fails.
      psql --no-psqlrc --tuples-only --no-align --command 'SELECT version_num FROM alembic_version' >>"$folder/origin" 2>/dev/null || true
      mv "$folder/.part" "$folder/dump.$token"
    else
      mv "$folder/.said" "$folder/failed.$token"
      rm -f "$folder/.part"
    fi
  done
  sleep 1 &
  wait $!
done
