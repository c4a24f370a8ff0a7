//! A run as a checkpoint, and a checkpoint as a run.

use super::{TrainError, Training};
use crate::data::Dataset;
use crate::loss::{LossReport, ObjectiveSpec};
use crate::model::Checkpoint;
use crate::train::{Settings, TrainingPlan};
use serde_json::Value;

impl Training {
    /// Prepares a run to go on from a checkpoint of it.
    ///
    /// # Errors
    ///
    /// If the checkpoint is not one of this run, or the run's loss or miner is not built in.
    pub fn resume(
        settings: Settings,
        data: &Dataset,
        checkpoint: Checkpoint,
    ) -> Result<Training, TrainError> {
        if let Some(what) = settings.not_built_in() {
            return Err(TrainError::Resume(format!(
                "{what} is not built in, so the run can only be continued by the program that brought it, with \
                 Training::resume_with_objective"
            )));
        }
        Training::resumed(settings.resolve()?, data, checkpoint)
    }

    /// Prepares a run that began by [`Training::with_objective`] to go on from a checkpoint of it. `spec` is the objective that it
    /// began with.
    ///
    /// # Errors
    ///
    /// If the checkpoint is not one of this run, or the settings name other losses or another miner.
    pub fn resume_with_objective(
        settings: Settings,
        spec: ObjectiveSpec,
        data: &Dataset,
        checkpoint: Checkpoint,
    ) -> Result<Training, TrainError> {
        let mut kept = settings.clone();
        kept.keep_objective(&spec);
        if kept != settings {
            return Err(TrainError::Resume("the objective is not that of the run's settings".to_owned()));
        }
        Training::resumed(TrainingPlan::with_objective(settings, spec)?, data, checkpoint)
    }

    fn resumed(plan: TrainingPlan, data: &Dataset, checkpoint: Checkpoint) -> Result<Training, TrainError> {
        let mut training = Training::unstarted(plan, data)?;
        let refuse = |why: &str| TrainError::Resume(why.to_owned());
        if checkpoint.network != training.network {
            return Err(refuse("its network is not that of the run's settings"));
        }
        let mut extra = checkpoint.extra;
        let mut take = |name: &str, into: &mut Vec<f32>| match extra.remove(name) {
            None => Err(refuse(&format!("it has no '{name}'"))),
            Some(values) if values.len() != into.len() => {
                Err(refuse(&format!("its '{name}' has another length")))
            }
            Some(values) => {
                *into = values;
                Ok(())
            }
        };
        take("optimizer.m", &mut training.optimizer.m)?;
        if !training.optimizer.v.is_empty() {
            take("optimizer.v", &mut training.optimizer.v)?;
        }
        let n = training.network.parameter_count();
        let mut own = training.parameters.split_off(n);
        if !own.is_empty() {
            take("loss", &mut own)?;
            training.objective.write_parameters(&own);
        }
        if let Some(average) = &mut training.average {
            // What is judged is the average; the weights themselves lie beside it.
            average.clone_from(&checkpoint.parameters);
            take("weights", &mut training.parameters)?;
        } else {
            training.parameters = checkpoint.parameters;
        }
        training.parameters.extend_from_slice(&own);
        // The position is taken out of the notes: what stays there belongs to observers.
        let mut notes = checkpoint.notes;
        if let Some(memory) = training.objective.memory_mut() {
            let embeddings = extra.remove("memory").unwrap_or_default();
            let labels = notes.remove("memory-labels").and_then(|v| serde_json::from_value(v).ok());
            let next = notes.remove("memory-next").and_then(|v| v.as_u64()).unwrap_or(0);
            if !memory.restore(embeddings, labels.unwrap_or_default(), next as usize) {
                return Err(refuse("its memory is not that of the run's settings"));
            }
        }
        for (i, state) in
            training.objective.states_mut().iter_mut().enumerate().filter(|(_, s)| !s.histogram.is_empty())
        {
            let saved = notes
                .remove(&format!("histogram-{i}"))
                .and_then(|v| serde_json::from_value::<Vec<f64>>(v).ok());
            match saved.filter(|h| h.len() == state.histogram.len()) {
                Some(histogram) => state.histogram = histogram,
                None => return Err(refuse("its running histogram is missing")),
            }
        }
        if training.batches.found_order().is_some() {
            let order = notes.remove("order").and_then(|v| serde_json::from_value::<Vec<usize>>(v).ok());
            let (n, len) = (data.train.len(), training.trained.len());
            let order = order.filter(|o| o.len() == len && o.iter().all(|i| *i < n));
            training.batches.reorder(order.ok_or_else(|| refuse("the order of its epoch is missing"))?);
        }
        let mut whole = |name: &str| {
            let value = notes.remove(name).and_then(|v| v.as_u64());
            value.ok_or_else(|| refuse(&format!("it does not say '{name}'")))
        };
        training.epochs = whole("epochs")?;
        training.step = whole("step")?;
        training.optimizer.steps = whole("optimizer-steps")?;
        let mut real = |name: &str| notes.remove(name).and_then(|v| v.as_f64()).unwrap_or(0.0);
        training.sums = LossReport {
            loss: real("sum-loss"),
            active: real("sum-active"),
            d_ap: real("sum-d-ap"),
            d_an: real("sum-d-an"),
        };
        training.notes = notes;
        if training.step >= training.steps_per_epoch() {
            return Err(refuse("its position is beyond an epoch's end; the data have changed since"));
        }
        Ok(training)
    }

    /// Everything that a later bit depends on.
    pub fn checkpoint(&self) -> Checkpoint {
        let n = self.network.parameter_count();
        let mut checkpoint = Checkpoint::new(self.network.clone(), self.parameters().to_vec());
        checkpoint.preparation = self.preparation;
        let mut extra = |name: &str, values: &[f32]| {
            if !values.is_empty() {
                checkpoint.extra.insert(name.into(), values.to_vec());
            }
        };
        extra("optimizer.m", &self.optimizer.m);
        extra("optimizer.v", &self.optimizer.v);
        extra("loss", &self.parameters[n..]);
        if self.average.is_some() {
            extra("weights", &self.parameters[..n]);
        }
        checkpoint.notes = self.notes.clone();
        let mut note = |name: String, value: Value| checkpoint.notes.insert(name, value);
        for (i, state) in self.objective.states().iter().enumerate().filter(|(_, s)| !s.histogram.is_empty())
        {
            note(format!("histogram-{i}"), state.histogram.clone().into());
        }
        for (name, value) in [
            ("epochs", Value::from(self.epochs)),
            ("step", self.step.into()),
            ("optimizer-steps", self.optimizer.steps.into()),
            ("sum-loss", self.sums.loss.into()),
            ("sum-active", self.sums.active.into()),
            ("sum-d-ap", self.sums.d_ap.into()),
            ("sum-d-an", self.sums.d_an.into()),
        ] {
            note(name.into(), value);
        }
        if let Some(order) = self.batches.found_order() {
            checkpoint.notes.insert("order".into(), order.into());
        }
        if let Some(memory) = self.objective.memory() {
            let (embeddings, labels) = memory.content();
            checkpoint.notes.insert("memory-labels".into(), labels.into());
            checkpoint.notes.insert("memory-next".into(), memory.next().into());
            checkpoint.extra.insert("memory".into(), embeddings.to_vec());
        }
        checkpoint
    }
}
