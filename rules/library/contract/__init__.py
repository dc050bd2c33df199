"""Rules about contracts: draw and demand against contracted megawatts."""
