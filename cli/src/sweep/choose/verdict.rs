//! What is to become of a unit, and why, in a word and in a sentence.

/// What is to become of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is to be removed.
    Goes(Cause),
    /// It is not.
    Stays(Reason),
}

/// Why a unit goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// It was not used for too long.
    Old,
    /// All together take more than they may.
    Size,
    /// There are more files than there may be.
    Files,
    /// It was on its way out when a sweep ended.
    Left,
}

/// Why a unit stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// It was used within the time that is asked for.
    Young,
    /// It was used within the grace.
    Grace,
    /// A pattern excludes it.
    Excluded,
    /// A pattern keeps it.
    Kept,
    /// No pattern includes it.
    Outside,
    /// It is another user's.
    Foreign,
    /// It is, or has in it, a socket, a pipe or a device.
    Special,
    /// Something is mounted there.
    Mounted,
    /// It could not be looked at to its end.
    Unread,
    /// It was used, or changed, since it was looked at.
    Touched,
    /// Somebody has it open.
    Open,
    /// Somebody has it locked.
    Locked,
    /// The tool that it belongs to has its lock.
    ToolLocked,
}

impl Cause {
    /// In one word, for scripts.
    pub fn word(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::Size => "size",
            Self::Files => "files",
            Self::Left => "left",
        }
    }

    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Self::Old => "not used for too long",
            Self::Size => "all together take too much",
            Self::Files => "there are too many files",
            Self::Left => "an earlier sweep had begun to remove it",
        }
    }
}

impl Reason {
    /// In one word, for scripts.
    pub fn word(self) -> &'static str {
        match self {
            Self::Young => "young",
            Self::Grace => "grace",
            Self::Excluded => "excluded",
            Self::Kept => "kept",
            Self::Outside => "outside",
            Self::Foreign => "foreign",
            Self::Special => "special",
            Self::Mounted => "mounted",
            Self::Unread => "unread",
            Self::Touched => "touched",
            Self::Open => "open",
            Self::Locked => "locked",
            Self::ToolLocked => "tool-locked",
        }
    }

    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Self::Young => "used within --older-than, or there is room",
            Self::Grace => "used within --grace",
            Self::Excluded => "--exclude",
            Self::Kept => "--keep",
            Self::Outside => "no --include",
            Self::Foreign => "another user's",
            Self::Special => "a socket, a pipe or a device",
            Self::Mounted => "something is mounted there",
            Self::Unread => "it could not be looked at",
            Self::Touched => "used since it was looked at",
            Self::Open => "somebody has it open",
            Self::Locked => "somebody has it locked",
            Self::ToolLocked => "its tool is at work",
        }
    }
}
