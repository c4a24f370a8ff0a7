//! Questions on a terminal: what neither a file nor the user has said of an encoder.

use super::add::{flag, layout, range, size};
use alike_onnx::{Contents, Draft, Pooling, Preset, Setting};
use std::fmt::Display;
use std::io::{self, BufRead, Write};

/// What a person answers to questions about `missing` settings, and the options that say the same; nothing if the answers end before the questions do.
///
/// # Errors
///
/// If the terminal cannot be read or written.
pub(super) fn ask(
    missing: &[Setting],
    contents: &Contents,
    answers: &mut dyn BufRead,
    questions: &mut dyn Write,
) -> io::Result<Option<(Draft, String)>> {
    let mut asking = Asking { answers, questions, options: Vec::new() };
    let mut draft = Draft::default();
    let of_pictures = [Setting::Range, Setting::Mean, Setting::Std];
    let mut settings = missing.to_vec();
    if missing.iter().any(|s| of_pictures.contains(s)) {
        let families = Preset::NAMES.join(", ");
        let question = format!(
            "the family of networks that its pictures were prepared for ({families}), or nothing if it is none of them"
        );
        let family = |text: &str| match text {
            "" => Ok(None),
            text => text.parse::<Preset>().map(Some).map_err(|e| e.to_string()),
        };
        let Some(preset) = asking.until("--preset", &question, family)? else { return Ok(None) };
        draft.preset = preset;
        if preset.is_some() {
            settings.retain(|s| !of_pictures.contains(s));
        }
    }
    let outputs: Vec<&str> = contents.outputs.iter().map(|o| o.name.as_str()).collect();
    for setting in settings {
        let how = match setting {
            Setting::Output => outputs.join(", "),
            Setting::Pooling => Pooling::NAMES.join(", "),
            Setting::Size => "height x width, as in 224x224".to_owned(),
            Setting::Layout => "nchw: channels before height and width, or nhwc: after them".to_owned(),
            Setting::Range => "0-1 or 0-255".to_owned(),
            Setting::Mean => "one number, or one for each channel, as in 0.485,0.456,0.406".to_owned(),
            Setting::Std => "one number, or one for each channel, as in 0.229,0.224,0.225".to_owned(),
            _ => continue,
        };
        let (name, question) = (flag(setting), format!("{setting} ({how})"));
        let answered = match setting {
            Setting::Output => asking.set(&mut draft.output, name, &question, |t: &str| {
                let known = contents.values.iter().chain(&contents.outputs).any(|v| v.name == t);
                if known { Ok(t.to_owned()) } else { Err(format!("the network computes no '{t}'")) }
            }),
            Setting::Pooling => asking.set(&mut draft.pooling, name, &question, str::parse),
            Setting::Size => asking.set(&mut draft.size, name, &question, size),
            Setting::Layout => asking.set(&mut draft.layout, name, &question, layout),
            Setting::Range => asking.set(&mut draft.range, name, &question, range),
            Setting::Mean => asking.set(&mut draft.mean, name, &question, numbers),
            _ => asking.set(&mut draft.std, name, &question, numbers),
        }?;
        if !answered {
            return Ok(None);
        }
    }
    let options = asking.options.join(" ");
    Ok(Some((draft, options)))
}

fn numbers(text: &str) -> Result<Vec<f64>, String> {
    let number = |t: &str| t.trim().parse().map_err(|_| format!("'{t}' is no number"));
    text.split(',').map(number).collect()
}

struct Asking<'a> {
    answers: &'a mut dyn BufRead,
    questions: &'a mut dyn Write,
    /// What was answered, as options.
    options: Vec<String>,
}

impl Asking<'_> {
    /// Asks until an answer can be read; nothing where there are no more answers.
    fn until<T, E: Display>(
        &mut self,
        option: &str,
        question: &str,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> io::Result<Option<T>> {
        loop {
            write!(self.questions, "{question}: ")?;
            self.questions.flush()?;
            let mut line = String::new();
            if self.answers.read_line(&mut line)? == 0 {
                writeln!(self.questions)?;
                return Ok(None);
            }
            let line = line.trim();
            match read(line) {
                Ok(value) => {
                    if !line.is_empty() {
                        self.options.push(format!("{option} {}", alike::names::shell(line)));
                    }
                    return Ok(Some(value));
                }
                Err(e) => writeln!(self.questions, "{e}")?,
            }
        }
    }

    /// The same, into a setting; whether there was an answer.
    fn set<T, E: Display>(
        &mut self,
        to: &mut Option<T>,
        option: &str,
        question: &str,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> io::Result<bool> {
        *to = self.until(option, question, read)?;
        Ok(to.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alike_onnx::{Tensor, ValueRange};

    fn contents() -> Contents {
        let output = |name: &str| Tensor { name: name.to_owned(), element: "FLOAT".to_owned(), shape: None };
        Contents {
            producer: String::new(),
            opset: 17,
            inputs: Vec::new(),
            outputs: vec![output("tokens"), output("pooled")],
            parameters: 0,
            operators: Default::default(),
            external_data: Vec::new(),
            values: vec![output("inner")],
        }
    }

    fn answered(missing: &[Setting], answers: &str) -> (Option<(Draft, String)>, String) {
        let mut said = Vec::new();
        let found = ask(missing, &contents(), &mut answers.as_bytes(), &mut said).unwrap();
        (found, String::from_utf8(said).unwrap())
    }

    #[test]
    fn a_family_answers_all_that_it_says() {
        let missing = [Setting::Pooling, Setting::Range, Setting::Mean, Setting::Std];
        let (found, said) = answered(&missing, "resnet\nclip\nmiddle\ncls\n");
        let (draft, options) = found.unwrap();
        assert_eq!((draft.preset, draft.pooling, draft.mean), (Some(Preset::Clip), Some(Pooling::Cls), None));
        assert_eq!(options, "--preset clip --pool cls");
        // What could not be read was asked again.
        assert_eq!(said.matches("the family of networks").count(), 2, "{said}");
        assert_eq!(said.matches("how the output becomes one vector").count(), 2, "{said}");
        assert!(!said.contains("the mean of the channels"), "{said}");
    }

    #[test]
    fn without_a_family_every_number_is_asked_for() {
        let missing =
            [Setting::Output, Setting::Size, Setting::Layout, Setting::Range, Setting::Mean, Setting::Std];
        let answers = "\nnothing\ninner\n224x192\nnhwc\n0-255\n1,2\n1,2,3\n0,5,x\n4\n";
        let (found, said) = answered(&missing, answers);
        let (draft, options) = found.unwrap();
        assert_eq!(draft.output.as_deref(), Some("inner"));
        assert_eq!((draft.size, draft.range), (Some([224, 192]), Some(ValueRange::Byte)));
        assert_eq!((draft.mean, draft.std), (Some(vec![1.0, 2.0]), Some(vec![1.0, 2.0, 3.0])));
        assert!(said.contains("the network computes no 'nothing'"), "{said}");
        assert!(
            options.starts_with("--output inner --size 224x192 --layout nhwc --range 0-255 --mean 1,2"),
            "{options}"
        );
    }

    #[test]
    fn answers_that_end_are_none() {
        assert!(answered(&[Setting::Mean], "").0.is_none());
        assert!(answered(&[Setting::Size, Setting::Layout], "32x32\n").0.is_none());
    }
}
