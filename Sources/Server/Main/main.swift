// main.swift: the `martlet` process.
// Belongs here: handing over to Server. Never here: anything that tests should reach.

internal import Server

runMartlet()
