"""Capture: a posting's page on the web becomes the draft of an application, by what the page itself says."""

from shared.capture.models import Capture, CaptureRequest
from shared.capture.service import (
    AddressRefused,
    FetchFailed,
    NoJobPosting,
    SeveralJobPostings,
    capture_application,
)

__all__ = [
    "AddressRefused",
    "Capture",
    "CaptureRequest",
    "FetchFailed",
    "NoJobPosting",
    "SeveralJobPostings",
    "capture_application",
]
