//! Plans as text.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use super::Plan;

/// Text that is no [`Plan`], or not one that this build of the crate has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsePlanError {
    text: String,
    /// The feature without which there is no such plan.
    feature: Option<&'static str>,
}

/// What can be written, the features of the build considered.
fn grammar() -> String {
    let mut words = vec!["threads", "threads:8"];
    if cfg!(feature = "rayon") {
        words.push("rayon");
    }
    if cfg!(feature = "process") {
        words.extend(["process", "process:4"]);
    }
    if cfg!(feature = "cluster") {
        words.push("cluster:nats://host:4222");
    }
    format!("{} or sequential", words.join(", "))
}

impl fmt::Display for ParsePlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, grammar) = (&self.text, grammar());
        match self.feature {
            None => write!(f, "`{text}` is no plan; write {grammar}"),
            Some(feature) => write!(
                f,
                "`{text}` needs the feature `{feature}` of runspace, which this program is built \
                 without; write {grammar}"
            ),
        }
    }
}

impl Error for ParsePlanError {}

impl FromStr for Plan {
    type Err = ParsePlanError;

    fn from_str(text: &str) -> Result<Self, ParsePlanError> {
        let error = |feature| ParsePlanError {
            text: text.to_owned(),
            feature,
        };
        if let Some(url) = text
            .trim()
            .strip_prefix("cluster:")
            .filter(|it| !it.is_empty())
        {
            #[cfg(feature = "cluster")]
            return Ok(Self::Cluster(url.to_owned()));
            #[cfg(not(feature = "cluster"))]
            return Err(error(Some("cluster").filter(|_| !url.is_empty())));
        }
        let (word, number) = match text.trim().split_once(':') {
            Some((word, number)) => (word, Some(number)),
            None => (text.trim(), None),
        };
        let number = match number.map(str::parse::<usize>) {
            None => None,
            Some(Ok(number)) if number > 0 => Some(number),
            Some(_) => return Err(error(None)),
        };
        match (word, number) {
            ("threads" | "thread", number) => Ok(Self::Threads(number)),
            #[cfg(feature = "rayon")]
            ("rayon", None) => Ok(Self::Rayon),
            #[cfg(not(feature = "rayon"))]
            ("rayon", None) => Err(error(Some("rayon"))),
            #[cfg(feature = "process")]
            ("process" | "processes", number) => Ok(Self::Process(number)),
            #[cfg(not(feature = "process"))]
            ("process" | "processes", _) => Err(error(Some("process"))),
            ("sequential", None) => Ok(Self::Sequential),
            _ => Err(error(None)),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Threads(None) => f.write_str("threads"),
            Self::Threads(Some(size)) => write!(f, "threads:{size}"),
            #[cfg(feature = "rayon")]
            Self::Rayon => f.write_str("rayon"),
            #[cfg(feature = "process")]
            Self::Process(None) => f.write_str("process"),
            #[cfg(feature = "process")]
            Self::Process(Some(size)) => write!(f, "process:{size}"),
            #[cfg(feature = "cluster")]
            Self::Cluster(url) => write!(f, "cluster:{url}"),
            Self::Sequential => f.write_str("sequential"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is a plan in some builds only, with its feature.
    const OF_FEATURES: [(&str, &str, bool); 4] = [
        (
            "cluster:nats://localhost:4222",
            "cluster",
            cfg!(feature = "cluster"),
        ),
        ("rayon", "rayon", cfg!(feature = "rayon")),
        ("process", "process", cfg!(feature = "process")),
        ("process:4", "process", cfg!(feature = "process")),
    ];

    #[test]
    fn text_and_plan_are_the_same() {
        for text in ["threads", "threads:8", "sequential"] {
            assert_eq!(text.parse::<Plan>().unwrap().to_string(), text);
        }
        for (text, feature, is_there) in OF_FEATURES {
            match text.parse::<Plan>() {
                Ok(plan) => assert!(is_there && plan.to_string() == text, "{text}"),
                Err(error) => {
                    let said = format!("`{text}` needs the feature `{feature}` of runspace");
                    assert!(!is_there && error.to_string().starts_with(&said), "{error}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_plan_is_told_what_is_one() {
        for text in [
            "",
            "threads:0",
            "threads:",
            "threads:x",
            "rayon:3",
            "process:0",
            "process:-1",
            "process:4:2",
            "cluster",
            "cluster:",
            "sequential:1",
            "8",
        ] {
            let error = text.parse::<Plan>().unwrap_err().to_string();
            assert!(
                error.contains("is no plan; write threads, threads:8"),
                "{error}"
            );
            assert!(error.ends_with(" or sequential"), "{error}");
        }
    }
}
