"""Writes on their way into a collection: prepared side by side, committed together."""

from setwise_server.ingest._budget import Budget
from setwise_server.ingest._committer import Committer
from setwise_server.ingest._intake import Intake
from setwise_server.ingest._results import mode_from_proto, result_to_proto, split
from setwise_server.ingest._upsert import Shared, UpsertStream

__all__ = ["Budget", "Committer", "Intake", "Shared", "UpsertStream", "mode_from_proto", "result_to_proto", "split"]
