// Network+Faults.swift: ways between machines are cut, slowed and healed.
// Belongs here: the effect on connections. Never here: when, and which ways (Faults/).

extension Network {
    /// Lets nothing through one way until `unblock`; connections on it may break at once.
    func block(from: Int, to: Int, resets: Bool) {
        blocks[Self.way(from, to)] += 1
        guard blocks[Self.way(from, to)] == 1 else { return }
        for link in links where link.isUp && touches(link, from, to) {
            if resets {
                world.faults.count(.connectionReset)
                breakLink(link)
            } else {
                world.faults.count(.halfOpen)
                giveUpLater(link)
            }
        }
    }

    func unblock(from: Int, to: Int) {
        let way = Self.way(from, to)
        guard blocks[way] > 0 else { return }
        blocks[way] -= 1
        guard blocks[way] == 0 else { return }
        for link in links where link.isUp && touches(link, from, to) { release(link) }
    }

    /// Heals all ways.
    func healAll() {
        for from in world.nodes.indices {
            for to in world.nodes.indices {
                delays[Self.way(from, to)] = 0
                while blocks[Self.way(from, to)] > 0 { unblock(from: from, to: to) }
            }
        }
    }

    private func touches(_ link: Link, _ from: Int, _ to: Int) -> Bool {
        link.dialer == from && link.acceptor == to || link.dialer == to && link.acceptor == from
    }

    /// A connection on which nothing comes any more is given up by both ends.
    private func giveUpLater(_ link: Link) {
        let epoch = link.epoch
        let delay = settings.silenceMicroseconds + dice.within(0...UInt64.seconds(1))
        world.schedule(at: world.now.after(microseconds: delay)) { [self] in
            guard link.epoch == epoch,
                !isOpen(from: link.dialer, to: link.acceptor)
                    || !isOpen(from: link.acceptor, to: link.dialer)
            else { return }
            breakLink(link)
        }
    }
}
