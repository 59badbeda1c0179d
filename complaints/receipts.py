"""Consent receipts: takes the entries of a reporter's chain, leaves a document; and checks such a document.

An entry is what was consented to or withdrawn, in canonical JSON; its digest covers the digest of the entry
before it, so that nothing can be left out, put in or changed afterwards without showing. A receipt carries
the entries, says the same in the fields of ISO/IEC TS 27560 (record header, PII processing, parties, events),
and is signed by the service (Ed25519, RFC 8032). Checking one needs no service, no database and no network.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from complaints import tokens

Json = dict[str, Any]
SCHEMA = "ISO/IEC TS 27560:2023"
PURPOSE = "Sending the reports named here to the abuse desks named here"
COUNTING = "Counting this spam in the statistics; nothing is sent"
WITHDRAWAL = (
    "The button on the review page, `plaint undo`, POST .../undo or .../withdraw, until a report is sent"
)
HIDDEN = {
    "identity": "replaced by pseudonyms",
    "strict": "replaced by pseudonyms, tokens too",
    "none": "shown",
}


class ReceiptError(ValueError):
    """The document is not a receipt, or does not hold; the message says what and where."""


@dataclass(frozen=True)
class Service:
    """Who keeps the records: the installation's mail domain and its URL, whom to reach, and where it is.

    `kept_days`: how long the bytes of a report stay here; 0: as long as the reporter is registered.
    """

    domain: str
    url: str
    contact: str = ""
    hosted_in: str = ""
    kept_days: int = 0


def canonical(value: Any) -> bytes:
    """The one spelling of a JSON value that is digested and signed: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def entry_digest(entry: Mapping[str, Any]) -> str:
    """The digest that the next entry names as `previous`."""
    return tokens.digest(canonical(entry))


def make_key() -> bytes:
    """A new signing key, as PEM."""
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_key(key: Ed25519PrivateKey) -> str:
    """The public half of a signing key, as base64."""
    return b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def receipt(entries: Sequence[Json], service: Service, now: datetime, key: Ed25519PrivateKey) -> Json:
    """The receipt of these entries (oldest first, of one reporter), signed."""
    document: Json = {
        "receipt": {
            "receipt_id": tokens.random_letters(tokens.ID_LETTERS),
            "schema_version": SCHEMA,
            "generated_at": now.isoformat(),
            "issuer": service.url,
        },
        "records": [_record(entry, entries, service) for entry in entries if entry["kind"] == "consent"],
        "chain": [{"digest": entry_digest(entry), "entry": entry} for entry in entries],
        "public_key": public_key(key),
    }
    return document | {"signature": b64encode(key.sign(canonical(document))).decode()}


def _record(entry: Json, entries: Sequence[Json], service: Service) -> Json:
    """One consent in the sections of ISO/IEC TS 27560 §6.3: header, processing, parties, events."""
    withdrawals = [e for e in entries if e["kind"] == "withdrawal" and e["consent"] == entry["consent"]]
    return {
        "schema_version": SCHEMA,
        "record_id": entry["consent"],
        "pii_principal_id": entry["reporter"],
        "pii_processing": {
            "privacy_notice": f"{service.url}/privacy, version {entry['policy']}",
            "language": "en",
            "purposes": [
                {
                    "purpose": PURPOSE if entry["reports"] else COUNTING,
                    "lawful_basis": "consent",
                    "pii_information": _pii(entry),
                    "pii_controllers": [service.domain],
                    "processing_method": "written as a report (RFC 5965), kept encrypted, sent by mail",
                    "storage_locations": [service.hosted_in or service.domain],
                    "jurisdiction": service.hosted_in or f"as told at {service.url}/privacy",
                    # ISO 8601-1 §5.5.2.2
                    "retention_period": f"P{service.kept_days}D" if service.kept_days else "while registered",
                    "collection_method": f"handed in by the reporter; confirmed by {entry['via']}",
                    "recipient_third_parties": [report["to"] for report in entry["reports"]],
                    "withdrawal_method": WITHDRAWAL,
                    "privacy_rights": f"{service.url}/privacy",
                }
            ],
        },
        "parties": [
            {
                "party_id": service.domain,
                "party_name": service.domain,
                "party_type": "pii_controller",
                "party_address": service.contact or f"{service.url}/privacy",
                "party_url": service.url,
                "party_contact": service.contact or f"{service.url}/privacy",
            },
            *(_desk(report["to"]) for report in entry["reports"]),
        ],
        "events": [
            _event(entry, "explicit consent", "consent given", "until each report is sent or withdrawn"),
            *(_event(one, "withdrawal", "consent withdrawn", "from then on") for one in withdrawals),
        ],
    }


def _pii(entry: Json) -> list[Json]:
    """Which data a consent is about."""
    words = [{"pii_type": "words to the desk", "value": entry["note"]}] if entry["note"] else []
    return [
        {"pii_type": "the reported mail", "digest": entry["spam"]},
        {"pii_type": "address and names", "hidden": HIDDEN.get(entry["redaction"], "not sent")},
        *words,
    ]


def _desk(address: str) -> Json:
    return {
        "party_id": address,
        "party_name": f"the abuse desk of {address.rpartition('@')[2]}",
        "party_type": "recipient_third_party",
        "party_address": address,
        "party_contact": address,
    }


def _event(entry: Json, kind: str, state: str, valid: str) -> Json:
    return {
        "event_time": entry["at"],
        "event_type": kind,
        "event_state": state,
        "validity_duration": valid,
        "entity_id": entry["reporter"],
    }


def read(raw: bytes) -> Any:
    """A receipt's JSON, if each name stands once in its object: what a person reads is then what is checked.

    Raises ReceiptError for a name given twice, ValueError and RecursionError for what is no JSON.
    """

    def once(pairs: list[tuple[str, Any]]) -> Json:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ReceiptError("a name is given twice in it, so it can be read in two ways")
        return found

    return json.loads(raw, object_pairs_hook=once)


def verify(document: Any, reports: Mapping[str, bytes], trusted_key: str = "") -> list[str]:
    """Check a receipt without asking anybody; returns what was found to hold, in sentences.

    `reports`: file name → bytes said to have been sent; each must be one that a consent in it names.
    `trusted_key`: the service's public key (base64) as learned elsewhere; without it, the key in the receipt
    proves only that the document is of one piece. Raises ReceiptError at the first thing that does not hold.
    """
    _check_shape(document)
    if trusted_key and document["public_key"] != trusted_key:
        raise ReceiptError(
            f"signed with another key ({document['public_key']}) than the one given; it may be an older one"
        )
    _check_signature(document)
    entries = _check_chain(document["chain"])
    _check_records(document, entries)
    whose = "the key given" if trusted_key else f"the key it carries ({document['public_key']})"
    withdrawn = {entry["consent"]: entry for entry in entries if entry["kind"] == "withdrawal"}
    return [
        f"Signed by {whose}.",
        f"{len(entries)} entries, each with its digest; no link is broken.{_left_out(entries)}",
        *(_state(entry, withdrawn) for entry in entries if entry["kind"] == "consent"),
        *(_consented(name, raw, entries, withdrawn) for name, raw in reports.items()),
    ]


def _left_out(entries: Sequence[Json]) -> str:
    """What a receipt of one complaint does not show."""
    missing = entries[-1]["number"] - len(entries) if entries else 0
    return f" {missing} earlier ones, about other complaints, are not in it." if missing else ""


def _state(entry: Json, withdrawn: Mapping[str, Json]) -> str:
    """A consent, and whether it stands."""
    to = ", ".join(report["to"] for report in entry["reports"]) or "nobody"
    after = withdrawn.get(entry["consent"])
    stands = f"withdrawn at {after['at']} by {after['via']}, for what had not left" if after else "stands"
    return f"{entry['complaint']}: consent at {entry['at']} by {entry['via']} to {to}: {stands}."


def _consented(name: str, raw: bytes, entries: Sequence[Json], withdrawn: Mapping[str, Json]) -> str:
    """That a consent names these bytes, and whether it stands. Raises ReceiptError when none does.

    Of a mail as its desk got it: what follows our signature and the trace fields (RFC 5321 §4.4) on top.
    """
    named = {
        report["digest"]: (entry, report)
        for entry in entries
        if entry["kind"] == "consent"
        for report in entry["reports"]
    }
    below = raw.find(b"\nFrom: ") + 1
    on_top = ""
    if (there := named.get(tokens.digest(raw))) is None and below:
        there = named.get(tokens.digest(raw[below:]))
        on_top = ", below the fields that were added on its way"
    if there is None:
        crlf = raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        lines = " but for their line ends, which were changed" if tokens.digest(crlf) in named else ""
        raise ReceiptError(
            f"{name}: no consent in this receipt names these bytes ({tokens.digest(raw)}){lines}"
        )
    entry, report = there
    but = ", and withdrawn later" if entry["consent"] in withdrawn else ""
    return f"{name}: consented to for {report['to']} at {entry['at']} by {entry['via']}{on_top}{but}."


def _check_shape(document: Any) -> None:
    names = {"receipt": dict, "records": list, "chain": list, "public_key": str, "signature": str}
    if not isinstance(document, dict) or not all(
        isinstance(document.get(n), kind) for n, kind in names.items()
    ):
        raise ReceiptError("not a receipt: it needs receipt, records, chain, public_key and signature")


def _check_signature(document: Json) -> None:
    signed = {name: value for name, value in document.items() if name != "signature"}
    try:
        key = Ed25519PublicKey.from_public_bytes(b64decode(document["public_key"], validate=True))
        signature = b64decode(document["signature"], validate=True)
        if b64encode(signature).decode() != document["signature"]:
            raise ValueError("the last letter has bits that say nothing")  # noqa: TRY301 - told as below
        key.verify(signature, canonical(signed))
    except (ValueError, InvalidSignature) as error:
        raise ReceiptError(
            "the signature is not one of this key over this document: it was changed"
        ) from error


def _check_chain(chain: Sequence[Any]) -> list[Json]:
    """The entries, if each has the digest given for it and neighbours are linked."""
    entries: list[Json] = []
    for link in chain:
        try:
            entry, digest, number = link["entry"], link["digest"], link["entry"]["number"]
            before = entries[-1] if entries else None
            if entry_digest(entry) != digest:
                raise ReceiptError(f"entry {number} does not have the digest given for it")
            if before is not None and entry["reporter"] != before["reporter"]:
                raise ReceiptError(f"entry {number} is of another reporter than entry {before['number']}")
            if before is not None and number <= before["number"]:
                raise ReceiptError(f"entry {number} stands after entry {before['number']}")
            if (
                before is not None
                and number == before["number"] + 1
                and entry["previous"] != entry_digest(before)
            ):
                raise ReceiptError(f"entry {number} does not follow entry {before['number']}")
            if (number == 1) != (entry["previous"] == ""):
                raise ReceiptError(f"entry {number} is not where a chain begins")
        except (TypeError, KeyError) as error:
            raise ReceiptError(f"an entry of the chain lacks {error}") from error
        entries.append(entry)
    return entries


def _check_records(document: Json, entries: Sequence[Json]) -> None:
    """The readable part must say what the chain says."""
    said = {record.get("record_id"): record for record in document["records"] if isinstance(record, dict)}
    try:
        for entry in entries:
            if entry["kind"] != "consent":
                continue
            if _told(said.pop(entry["consent"])) != _told(_record(entry, entries, Service("", ""))):
                raise ReceiptError(f"record {entry['consent']} does not say what the chain says")
    except (KeyError, TypeError, ValueError) as error:
        raise ReceiptError("the records do not say what the chain says") from error
    if said:
        raise ReceiptError(f"records without an entry in the chain: {', '.join(map(str, said))}")


def _told(record: Json) -> Json:
    """What a record takes from the chain: the rest is about the service."""
    [purpose] = record["pii_processing"]["purposes"]
    return {
        "whose": record["pii_principal_id"],
        "policy": record["pii_processing"]["privacy_notice"].rpartition(", version ")[2],
        "data": purpose["pii_information"],
        "recipients": purpose["recipient_third_parties"],
        "events": [(event["event_time"], event["event_state"]) for event in record["events"]],
    }
