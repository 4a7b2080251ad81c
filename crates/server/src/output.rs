//! Standard output that says when nobody reads it any more, where `println!`
//! would panic (`lazaret scan ... | head`).

/// Like `print!`, with the error as a value.
macro_rules! out {
    ($($arg:tt)*) => {
        std::io::Write::write_fmt(&mut std::io::stdout().lock(), format_args!($($arg)*))
    };
}

/// Like `println!`, with the error as a value.
macro_rules! outln {
    ($($arg:tt)*) => {
        crate::output::out!("{}\n", format_args!($($arg)*))
    };
}

pub(crate) use {out, outln};
