-- +goose Up
ALTER TABLE facts
    COMMENT COLUMN occurred_at 'When the money moved, as this source knows it; of the kind begun when a charge was made, or an invoice finalised, that no other event ties to each other';
