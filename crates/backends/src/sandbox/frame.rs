//! What the two sides say to each other: one byte of kind, eight of number,
//! and behind an answer that many bytes.

/// Bytes of a frame without what follows an answer.
pub const FRAME_BYTES: usize = 9;

/// One frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// To the worker: so many bytes of the blob are in the file.
    Available(u64),
    /// To the worker: the blob is complete at so many bytes.
    Complete(u64),
    /// From the worker: locked in; its analyser version, and in bit 32
    /// whether the kernel lacks landlock.
    Hello(u64),
    /// From the worker: so many bytes of the blob were read.
    Progress(u64),
    /// From the worker: the stored form of the analysis follows, so long.
    Answer(u64),
    /// From the worker: it could not lock itself in; the reason is on its
    /// standard error.
    Unfit(u64),
}

impl Frame {
    /// As it goes over the socket.
    pub fn to_bytes(self) -> [u8; FRAME_BYTES] {
        let (kind, number) = match self {
            Self::Available(n) => (1, n),
            Self::Complete(n) => (2, n),
            Self::Hello(n) => (3, n),
            Self::Progress(n) => (4, n),
            Self::Answer(n) => (5, n),
            Self::Unfit(n) => (6, n),
        };
        let mut bytes = [kind; FRAME_BYTES];
        bytes[1..].copy_from_slice(&number.to_le_bytes());
        bytes
    }

    /// `None`: no kind that is known.
    pub fn parse(bytes: [u8; FRAME_BYTES]) -> Option<Self> {
        let [kind, number @ ..] = bytes;
        let number = u64::from_le_bytes(number);
        Some(match kind {
            1 => Self::Available(number),
            2 => Self::Complete(number),
            3 => Self::Hello(number),
            4 => Self::Progress(number),
            5 => Self::Answer(number),
            6 => Self::Unfit(number),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(frame: Frame) {
        assert_eq!(Frame::parse(frame.to_bytes()), Some(frame));
    }

    #[test]
    fn frames_round_trip() {
        for n in [0, 1, u64::MAX] {
            for frame in [
                Frame::Available(n),
                Frame::Complete(n),
                Frame::Hello(n),
                Frame::Progress(n),
                Frame::Answer(n),
                Frame::Unfit(n),
            ] {
                check(frame);
            }
        }
        assert_eq!(Frame::parse([0; FRAME_BYTES]), None);
    }
}
