/**
 * Runwire's client: runs, metrics, artifacts and the model registry.
 *
 * <p>Start with {@link dev.runwire.RunwireClient}. Everything that goes wrong is a {@link
 * dev.runwire.RunwireException}. All classes here are safe for use by many threads. Messages of the
 * API ({@code dev.runwire.v1}) are generated from the protos, whose comments are their manual.
 */
package dev.runwire;
