"""The FastAPI peer: GET /health on uvicorn with uvloop and httptools."""

import os

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

# Documentation routes and telemetry hooks are off: each would cost time in every request.
app = FastAPI(
    openapi_url=None,
    telemetry={"tracing": False, "metrics": False, "logs": False},
)


class Health(BaseModel):
    status: str


@app.get("/health")
async def health() -> Health:
    return Health(status="ok")


if __name__ == "__main__":
    uvicorn.run(
        "main:app",
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        workers=int(os.environ.get("WORKERS") or os.cpu_count() or 1),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        timeout_graceful_shutdown=5,
    )
