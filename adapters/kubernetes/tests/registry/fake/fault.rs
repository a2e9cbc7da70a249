//! What goes wrong.

/// Something goes wrong with requests for a resource.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) on: On,
    /// `*` for all.
    pub(crate) resource: String,
    /// How often.
    pub(crate) left: usize,
    pub(crate) what: What,
}

impl Fault {
    /// Always.
    pub(crate) fn on(on: On, resource: &str, what: What) -> Self {
        Self {
            on,
            resource: resource.into(),
            left: usize::MAX,
            what,
        }
    }

    /// So often only.
    pub(crate) fn times(self, left: usize) -> Self {
        Self { left, ..self }
    }
}

/// Which requests it concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    List,
    Watch,
    /// Watches that begin with all objects.
    Streamed,
    /// Everything about one object.
    Single,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// The answer is this, and how many seconds to wait.
    Status(u16, &'static str, Option<u32>),
    /// There is no answer at all.
    Hang,
    /// This page of a list, counted from 0, breaks off in the middle.
    AbortAt(usize),
    /// This page of a list stops in the middle.
    StallAt(usize),
    /// The version of the list is gone when this page is asked for.
    ExpireAt(usize),
    /// All fields that an object may have are `null`.
    Nulls,
    /// A watch says nothing.
    Stall,
    /// A watch says at once that the server gives up.
    Error(u16, &'static str, Option<u32>),
    /// A watch ends as soon as it is open.
    End,
    /// Every event comes twice.
    Repeat,
    /// Every two events that are there at once come in the wrong order.
    Swap,
    /// Something that cannot be read comes before each event.
    Garbage,
    /// All objects come, and nothing says that these are all.
    NoEnd,
    /// While the objects come, the first of them changes and the last of them goes.
    ChangesMeanwhile,
}
