"""The first schema."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

from complaints.jobs import install_statements

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "attempt",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("mail_id", sa.String(), nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("worker", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("tls", sa.Boolean(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("ended_at", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("attempt_of_mail", "attempt", ["mail_id", "at"], unique=False)
    op.create_table(
        "registration",
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("code_hash", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("asked_at", UTCDateTime(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("token_hash"),
    )
    op.create_index(op.f("ix_registration_expires_at"), "registration", ["expires_at"], unique=False)
    op.create_table(
        "reporter",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("names", sa.JSON(), nullable=False),
        sa.Column("aliases", sa.JSON(), nullable=False),
        sa.Column("trust", sa.JSON(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("verified_at", UTCDateTime(), nullable=True),
        sa.Column("policy", sa.String(), nullable=True),
        sa.Column("policy_at", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("address"),
        sa.UniqueConstraint("token_hash"),
    )
    op.create_table(
        "suppression",
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("asked_at", UTCDateTime(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("lifted_at", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("address"),
    )
    op.create_table(
        "letter",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("reporter_id", sa.String(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("to", sa.String(), nullable=False),
        sa.Column("mail_from", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "queued",
                "sending",
                "sent",
                "failed",
                "unconfirmed",
                name="letterstate",
                native_enum=False,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("first_at", UTCDateTime(), nullable=True),
        sa.Column("next_at", UTCDateTime(), nullable=True),
        sa.Column("sent_at", UTCDateTime(), nullable=True),
        sa.Column("detail", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["reporter_id"],
            ["reporter.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_letter_reporter_id"), "letter", ["reporter_id"], unique=False)
    op.create_index("letter_by_state", "letter", ["state", "next_at"], unique=False)
    op.create_table(
        "submission",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("reporter_id", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.Enum("received", "unwrapped", "noticed", name="submissionstate", native_enum=False, length=20),
            nullable=False,
        ),
        sa.Column("via", sa.String(), nullable=False),
        sa.Column("forwarded", sa.Boolean(), nullable=False),
        sa.Column("filename", sa.String(), nullable=False),
        sa.Column("received_at", UTCDateTime(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("outcome", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["reporter_id"],
            ["reporter.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("submission_by_state", "submission", ["state", "received_at"], unique=False)
    op.create_index("submission_of_reporter", "submission", ["reporter_id", "received_at"], unique=False)
    op.create_table(
        "submission_address",
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("reporter_id", sa.String(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("retires_at", UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["reporter_id"],
            ["reporter.id"],
        ),
        sa.PrimaryKeyConstraint("hash"),
    )
    op.create_index(
        op.f("ix_submission_address_reporter_id"), "submission_address", ["reporter_id"], unique=False
    )
    op.create_table(
        "complaint",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("reporter_id", sa.String(), nullable=False),
        sa.Column("submission_id", sa.String(), nullable=False),
        sa.Column("slice_start", sa.Integer(), nullable=True),
        sa.Column("slice_end", sa.Integer(), nullable=True),
        sa.Column("raw", sa.LargeBinary(), nullable=True),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "received",
                "analysed",
                "awaiting_consent",
                "confirmed",
                "closed",
                "refused",
                "expired",
                "discarded",
                name="complaintstate",
                native_enum=False,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("received_at", UTCDateTime(), nullable=False),
        sa.Column("due_at", UTCDateTime(), nullable=True),
        sa.Column("lookups", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("source_ip", sa.String(), nullable=True),
        sa.Column("way_in_grade", sa.String(), nullable=False),
        sa.Column("grade", sa.String(), nullable=True),
        sa.Column("evidence", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("contacts", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("redaction", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["reporter_id"],
            ["reporter.id"],
        ),
        sa.ForeignKeyConstraint(
            ["submission_id"],
            ["submission.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("reporter_id", "digest", name="one_complaint_per_spam"),
    )
    op.create_index("complaint_by_state", "complaint", ["state", "due_at"], unique=False)
    op.create_index("complaint_of_reporter", "complaint", ["reporter_id", "received_at", "id"], unique=False)
    op.create_index(
        "complaint_of_reporter_by_state",
        "complaint",
        ["reporter_id", "state", "received_at", "id"],
        unique=False,
    )
    op.create_index(op.f("ix_complaint_source_ip"), "complaint", ["source_ip"], unique=False)
    op.create_index(op.f("ix_complaint_submission_id"), "complaint", ["submission_id"], unique=False)
    op.create_table(
        "consent",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("complaint_id", sa.String(), nullable=False),
        sa.Column("reporter_id", sa.String(), nullable=False),
        sa.Column("given_at", UTCDateTime(), nullable=False),
        sa.Column("via", sa.String(), nullable=False),
        sa.Column("policy", sa.String(), nullable=False),
        sa.Column("statement", sa.String(), nullable=False),
        sa.Column("redaction", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("shown", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["complaint_id"],
            ["complaint.id"],
        ),
        sa.ForeignKeyConstraint(
            ["reporter_id"],
            ["reporter.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_consent_complaint_id"), "consent", ["complaint_id"], unique=False)
    op.create_index(op.f("ix_consent_reporter_id"), "consent", ["reporter_id"], unique=False)
    op.create_table(
        "report",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("complaint_id", sa.String(), nullable=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("to", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "draft",
                "suppressed",
                "consented",
                "queued",
                "sending",
                "sent",
                "bounced",
                "failed",
                "held",
                "cancelled",
                "unconfirmed",
                name="reportstate",
                native_enum=False,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("ticked", sa.Boolean(), nullable=False),
        sa.Column("contact", sa.JSON(), nullable=False),
        sa.Column("drafted_at", UTCDateTime(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("changes", sa.JSON(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("first_at", UTCDateTime(), nullable=True),
        sa.Column("next_at", UTCDateTime(), nullable=True),
        sa.Column("sent_at", UTCDateTime(), nullable=True),
        sa.Column("detail", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["complaint_id"],
            ["complaint.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("complaint_id", "to", name="one_report_per_desk"),
        sa.UniqueConstraint("message_id"),
        sa.UniqueConstraint("token"),
    )
    op.create_index(op.f("ix_report_complaint_id"), "report", ["complaint_id"], unique=False)
    op.create_index("report_by_state", "report", ["state", "next_at"], unique=False)
    op.create_index("report_to_desk", "report", ["to", "sent_at"], unique=False)
    op.create_table(
        "consented_report",
        sa.Column("consent_id", sa.String(), nullable=False),
        sa.Column("report_id", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("to", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["consent_id"],
            ["consent.id"],
        ),
        sa.ForeignKeyConstraint(
            ["report_id"],
            ["report.id"],
        ),
        sa.PrimaryKeyConstraint("consent_id", "report_id"),
    )
    op.create_index(op.f("ix_consented_report_report_id"), "consented_report", ["report_id"], unique=False)
    op.create_table(
        "reply",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("report_id", sa.String(), nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=True),
        sa.Column("failed", sa.Boolean(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["report_id"],
            ["report.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("report_id", "digest", name="one_reply_once"),
    )
    op.create_index(op.f("ix_reply_report_id"), "reply", ["report_id"], unique=False)
    op.create_table(
        "withdrawal",
        sa.Column("consent_id", sa.String(), nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("via", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["consent_id"],
            ["consent.id"],
        ),
        sa.PrimaryKeyConstraint("consent_id"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(sa.text(install_statements().replace(":", r"\:")))
