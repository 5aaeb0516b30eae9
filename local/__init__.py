"""Run the function app on your own machine: ``python3 -m local start``. Never deployed."""
