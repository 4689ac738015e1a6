// main.swift: libFuzzer's driver for the permission check.
// Belongs here: the loop. Never here: what an input means (AccessStory.swift), what is allowed (AccessOracle.swift).

import FuzzDriver

run { input in
    do {
        var story = try AccessStory(input)
        try story.tell()
    } catch {
        preconditionFailure("the store failed: \(error)")
    }
}
