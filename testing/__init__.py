"""What tests and benches share: servers, fakes, builders. Not in the wheel."""
