//! Paths given by users where no shell expands them: `--runs=~/x`, environment variables, configurations.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::env;

/// The error for a path that a user gave and that this program does not accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedPath {
    /// The error message.
    pub message: String,
    /// The advice, as a sentence: what to do instead.
    pub hint: String,
}

impl fmt::Display for RejectedPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n\nhint: {}", self.message, self.hint)
    }
}

impl std::error::Error for RejectedPath {}

/// Returns whether an argument stands for standard input (`-`).
pub fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Returns `path` with a leading `~` or `~/` replaced by the home folder; other paths unchanged.
///
/// # Errors
/// Returns [`RejectedPath`] if the path begins with `~user`, with `$NAME`, or with `~` while HOME is not set; if it has
/// quotes around it; or if it ends with a line end.
pub fn expand(path: &Path) -> Result<PathBuf, RejectedPath> {
    expand_with(path, env::home())
}

/// Like [`expand`], but with `home` as the home folder.
fn expand_with(path: &Path, home: Option<PathBuf>) -> Result<PathBuf, RejectedPath> {
    let text = path.to_string_lossy();
    let reject = |message: String, hint: String| Err(RejectedPath { message, hint });
    let literal_hint = || format!("a file of that very name is `./{text}`");
    if text.ends_with(['\n', '\r']) {
        let shown = text.escape_debug();
        return reject(format!("the path `{shown}` ends with a line end"), "remove it".to_owned());
    }
    let bare = text.trim_matches(['"', '\'']);
    let is_quoted = |quote: char| text.len() > 1 && text.starts_with(quote) && text.ends_with(quote);
    if is_quoted('"') || is_quoted('\'') {
        return reject(format!("the path `{text}` has quotes around it"), format!("write {bare}"));
    }
    if let Some(name) = variable(&text) {
        let hint = format!("write the value of {name} in its place; {}", literal_hint());
        return reject(format!("the path `{text}` begins with the variable {name}, which is not expanded here"), hint);
    }
    let Some(rest) = path.as_os_str().as_encoded_bytes().strip_prefix(b"~") else { return Ok(path.to_owned()) };
    if !(rest.is_empty() || rest.starts_with(b"/")) {
        let hint = format!("write the whole path; {}", literal_hint());
        return reject(format!("`~` before a name is not expanded here: `{text}`"), hint);
    }
    let Some(home) = home else {
        let hint = format!("write the whole path, or set HOME; {}", literal_hint());
        return reject(format!("`~` cannot be expanded in `{text}`: HOME is not set"), hint);
    };
    let inside = path.strip_prefix("~").unwrap_or(Path::new(""));
    Ok(if inside.as_os_str().is_empty() { home } else { home.join(inside) })
}

/// Returns the variable that a path begins with, as written: `$HOME` or `${HOME}`.
fn variable(text: &str) -> Option<String> {
    let rest = text.strip_prefix('$')?;
    let braced = rest.strip_prefix('{');
    let name = match braced {
        Some(rest) => rest.split_once('}')?.0,
        None => rest,
    };
    let is_part = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    let name: String = name.chars().take_while(is_part).collect();
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    is_name.then(|| if braced.is_some() { format!("${{{name}}}") } else { format!("${name}") })
}

/// Checks that neither `folder` nor a folder that it is in is a symbolic link whose target does not exist. No folder
/// can be created there, and the operating system would only report "File exists".
///
/// # Errors
/// Returns [`RejectedPath`] if there is such a link; the message names it and its target.
pub fn check_symlinks(folder: &Path) -> Result<(), RejectedPath> {
    let is_dangling = |path: &&Path| {
        let is_link = std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink());
        is_link && std::fs::metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    let Some(link) = folder.ancestors().find(is_dangling) else { return Ok(()) };
    let target = std::fs::read_link(link).unwrap_or_default();
    Err(RejectedPath {
        message: format!("`{}` is a symbolic link to `{}`, which does not exist", link.display(), target.display()),
        hint: "make the folder that it points to, remove the link, or name another folder".to_owned(),
    })
}

/// Returns the folder that the environment variable `name` names, expanded; `None` if the variable is not set or empty.
///
/// # Errors
/// Returns [`RejectedPath`] if [`expand`] rejects the value; the message names the variable.
pub fn env_folder(name: &str) -> Result<Option<PathBuf>, RejectedPath> {
    let Some(value) = env::value(name) else { return Ok(None) };
    let with_name = |error: RejectedPath| RejectedPath { message: format!("{name}: {}", error.message), ..error };
    expand(Path::new::<OsStr>(&value)).map(Some).map_err(with_name)
}

/// Like [`env_folder`], but returns a value that cannot be expanded unchanged: for code that runs after such a value
/// has been reported.
pub fn env_folder_or_literal(name: &str) -> Option<PathBuf> {
    let value = PathBuf::from(env::value(name)?);
    Some(expand(&value).unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<String, String> {
        let home = Some(PathBuf::from("/home/ada"));
        expand_with(Path::new(text), home).map(|path| path.display().to_string()).map_err(|refused| refused.message)
    }

    #[test]
    fn tilde_alone_and_before_slash_is_home_folder() {
        assert_eq!(expanded("~").unwrap(), "/home/ada");
        assert_eq!(expanded("~/").unwrap(), "/home/ada");
        assert_eq!(expanded("~/runs/a").unwrap(), "/home/ada/runs/a");
        assert!(expand_with(Path::new("~/runs"), None).unwrap_err().message.contains("HOME is not set"));
        for refused in ["~bob/runs", "~bob", "~+/x"] {
            assert!(expanded(refused).unwrap_err().contains("not expanded here"), "{refused}");
        }
    }

    #[test]
    fn paths_without_tilde_are_unchanged() {
        for path in ["runs", "/a/b/", "./~/x", "a/~", "a~b", "", "$", "$1", "ü b", "a$HOME", "it's", "x.toml"] {
            assert_eq!(expanded(path).unwrap(), path);
        }
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt;
            let bytes = Path::new(OsStr::from_bytes(b"~/\xff"));
            let path = expand_with(bytes, Some(PathBuf::from("/h"))).unwrap();
            assert_eq!(path.as_os_str().as_bytes(), b"/h/\xff");
        }
    }

    #[test]
    fn variables_quotes_and_line_ends_are_rejected() {
        assert!(expanded("$HOME/data").unwrap_err().contains("the variable $HOME, which is not expanded here"));
        assert!(expanded("${LTH_X}/data").unwrap_err().contains("the variable ${LTH_X},"));
        assert!(expanded("\"/data\"").unwrap_err().contains("quotes"));
        assert!(expanded("'runs'").unwrap_err().contains("quotes"));
        assert!(expanded("runs\r").unwrap_err().contains(r"`runs\r` ends with a line end"));
    }

    #[test]
    fn symlinks_to_nothing_are_named_with_target() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("runs");
        std::os::unix::fs::symlink("gone", &link).unwrap();
        for path in [link.clone(), link.join("inside")] {
            let refused = check_symlinks(&path).unwrap_err();
            assert!(refused.message.contains("is a symbolic link to `gone`, which does not exist"), "{refused}");
        }
        std::fs::create_dir(folder.path().join("gone")).unwrap();
        assert_eq!((check_symlinks(&link), check_symlinks(Path::new("nowhere/x"))), (Ok(()), Ok(())));
    }
}
