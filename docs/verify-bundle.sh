#!/bin/sh
# Verifies a bundle of opsverify with openssl (3 or newer), zstd, tar and coreutils; nothing of opsverify is needed.
#   sh verify-bundle.sh BUNDLE.tar.zst PUBLIC_KEY.pem [AUTHORITY.pem]
# With the certificates of an authority the time stamp (RFC 3161) of the signature has to be there and is verified.
# Prints what is wrong, or the decision that was signed. Exit code 0 only where everything is as it was signed.
set -eu
bundle=$1
key=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
authority=${3:+$(cd "$(dirname "$3")" && pwd)/$(basename "$3")}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
fail() { echo "NOT as it was signed: $*"; exit 1; }

# 1. Unpack: one folder of regular files.
zstd -qdc "$bundle" >"$scratch/bundle.tar" || fail "no zstd archive"
tar -tvf "$scratch/bundle.tar" >"$scratch/list" || fail "no tar archive"
grep -qv '^-' "$scratch/list" && fail "the archive holds more than regular files"
mkdir "$scratch/run"
tar --no-same-owner -xf "$scratch/bundle.tar" -C "$scratch/run" || fail "the archive cannot be unpacked"
[ "$(ls "$scratch/run" | wc -l)" -eq 1 ] || fail "expected one folder"
cd "$scratch/run/"*

# 2. Every file is in the manifest with its sum, and the manifest names no other.
sha256sum --check --quiet --strict manifest.sha256 || fail "a file differs from its sum"
sed 's/^[0-9a-f]* [ *]//' manifest.sha256 | sort >"$scratch/named"
find . ! -type d | sed 's|^\./||' | grep -vxE 'manifest\.sha256|verdict\.json|signature\.(dsse\.json|tsr)' | sort >"$scratch/there"
cmp -s "$scratch/named" "$scratch/there" || fail "files that the manifest does not name"

# 3. The signature (DSSE) is that of the key.
field() { sed -n "s/^ *\"$1\": \"\([^\"]*\)\".*/\1/p" signature.dsse.json | head -n 1; }
[ -e signature.dsse.json ] || fail "no signature"
type=$(field payloadType)
field payload | base64 -d >"$scratch/payload" || fail "the signature has no payload"
field sig | base64 -d >"$scratch/sig" || fail "the signature has no value"
printf 'DSSEv1 %s %s %s ' "${#type}" "$type" "$(($(wc -c <"$scratch/payload")))" >"$scratch/signed"
cat "$scratch/payload" >>"$scratch/signed"
openssl pkeyutl -verify -pubin -inkey "$key" -rawin -in "$scratch/signed" -sigfile "$scratch/sig" >/dev/null 2>&1 ||
    fail "no valid signature of this key"

# 4. What was signed are the sums of manifest and verdict.
[ "$type" = application/vnd.in-toto+json ] || fail "the signed content is no in-toto statement"
for name in manifest.sha256 verdict.json; do
    sum=$(sha256sum "$name" | cut -d ' ' -f 1)
    grep -qF "{\"name\":\"$name\",\"digest\":{\"sha256\":\"$sum\"}}" "$scratch/payload" || fail "$name is another one"
done
# 5. The authority's stamp is on this signature, verified at its own time: its certificates may have ended since.
if [ -n "$authority" ]; then
    time=$(openssl ts -reply -in signature.tsr -text 2>/dev/null | sed -n 's/^Time stamp: //p')
    openssl ts -verify -in signature.tsr -data signature.dsse.json -CAfile "$authority" \
        -attime "$(date -d "${time:-none}" +%s)" >/dev/null 2>&1 || fail "no valid time stamp of this authority"
    echo "time-stamped $time"
fi
sed -n 's/^  "\(run_id\|target\|stage\|decision\|finished_at\)": "\(.*\)",*$/\1 \2/p' verdict.json
echo "complete, unaltered, signed by this key"
