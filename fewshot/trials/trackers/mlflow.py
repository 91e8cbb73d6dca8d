"""MLflow: a run a trial, in an experiment for each protocol; in a folder or on a server."""

from __future__ import annotations

import datetime
import importlib
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from fewshot.errors import UsageError, field
from fewshot.io.files import mark_output
from fewshot.trials.record import Record
from fewshot.trials.trackers import curves, ends, settings, trackers

if TYPE_CHECKING:
    from mlflow import MlflowClient

KEY = "fewshot.key"
MOST_METRICS, MOST_PARAMETERS, LONGEST = 1000, 100, 500  # in one call, and characters
QUIET = ("alembic", "mlflow")  # which tell of every step of making a database


@trackers.register("mlflow")
def mlflow(where: str) -> MLflow:
    """A database in a folder, or a server: mlflow ui --backend-store-uri sqlite:///FOLDER/mlflow.db."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    server = where.startswith(("http://", "https://"))
    if "://" in where and not server:
        raise UsageError(f"{field('track')}: MLflow takes a folder or http://HOST:PORT. Received: '{where}'")
    try:
        from mlflow import MlflowClient

        if not server:
            importlib.import_module("alembic")  # of MLflow's database, which its smallest package lacks
            importlib.import_module("sqlalchemy")
    except ImportError as error:
        missing = "needs the package mlflow: pip install 'fewshot-testbed[mlflow]'"
        raise UsageError(f"{field('track', 'mlflow')} {missing}") from error
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    if server:
        return MLflow(MlflowClient(where))
    folder = Path(where).resolve()
    try:
        mark_output(folder)
    except OSError as error:
        raise UsageError(f"{field('track')}: cannot write to {folder} ({error.strerror})") from error
    return MLflow(MlflowClient(f"sqlite:///{folder / 'mlflow.db'}"), (folder / "artifacts").as_uri())


class MLflow:
    """Logs trials by MLflow's client.

    Parameters
    ----------
    client : MlflowClient
        Of a server or of a database.
    artifacts : str, optional
        Where artifacts would go; by default the server decides.
    """

    def __init__(self, client: MlflowClient, artifacts: str | None = None):
        self._client, self._artifacts = client, artifacts
        self._experiments: dict[str, str] = {}

    def add(self, record: Record) -> None:
        """Log settings, curves and what a trial ended with; its key comes last, when it is complete."""
        from mlflow.entities import Metric, Param, RunTag

        experiment = self._experiment(f"{record.protocol['data']}, {record.protocol['name']}")
        wanted = f"tags.`{KEY}` = '{record.key}'"
        if self._client.search_runs([experiment], wanted, max_results=1):
            return
        end = int(1000 * datetime.datetime.fromisoformat(record.date).timestamp()) if record.date else 0
        begin = max(0, end - int(1000 * record.seconds))
        name = f"{record.method}, seed {record.seed}"
        run = self._client.create_run(experiment, start_time=begin, run_name=name).info.run_id
        points = [(name, step, value) for name, curve in curves(record).items() for step, value in curve]
        points += [(name, record.updates or 0, value) for name, value in ends(record).items()]
        metrics = [Metric(name, value, end, step) for name, step, value in points]
        for first in range(0, len(metrics), MOST_METRICS):
            self._client.log_batch(run, metrics=metrics[first : first + MOST_METRICS])
        texts = list(settings(record).items())[:MOST_PARAMETERS]
        self._client.log_batch(run, params=[Param(name, text[:LONGEST]) for name, text in texts])
        tags = {"fewshot.version": record.fewshot, "fewshot.failed": record.reason or "", KEY: record.key}
        self._client.log_batch(run, tags=[RunTag(name, text) for name, text in tags.items() if text])
        self._client.set_terminated(run, "FINISHED" if record.ok else "FAILED", end)

    def close(self) -> None:
        """Nothing is left: every trial is logged as it comes."""

    def _experiment(self, name: str) -> str:
        if name not in self._experiments:
            known = self._client.get_experiment_by_name(name)
            self._experiments[name] = (
                known.experiment_id if known else self._client.create_experiment(name, self._artifacts)
            )
        return self._experiments[name]
