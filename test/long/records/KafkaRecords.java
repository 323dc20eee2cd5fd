import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import org.apache.kafka.common.InvalidRecordException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.errors.CorruptRecordException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.requests.ProduceRequest;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.common.utils.internals.BufferSupplier;
import org.apache.kafka.common.utils.internals.PrimitiveRef;
import org.apache.kafka.storage.internals.log.AppendOrigin;
import org.apache.kafka.storage.internals.log.LogValidator;
import org.apache.kafka.storage.internals.log.RecordValidationException;

/**
 * What Apache Kafka's own classes make of record batches.
 *
 * <pre>
 *   make DIR    writes the java-*.bin of fixtures/records
 *   validate    a line in, "version logAppendTime before after compacted compression nowMs hex", and a line out:
 *               "ERROR_NAME|message" or "NONE|maxTimestamp|hex of what is stored|records"
 * </pre>
 */
public class KafkaRecords {
    private static final HexFormat HEX = HexFormat.of();
    private static final long TIME = 1_700_000_000_000L;

    public static void main(String[] args) throws Exception {
        if (args[0].equals("make")) make(Path.of(args[1]));
        else validate();
    }

    private static void make(Path directory) throws Exception {
        for (CompressionType type : CompressionType.values()) {
            boolean plain = type == CompressionType.NONE;
            MemoryRecordsBuilder builder = MemoryRecords.builder(ByteBuffer.allocate(1024), (byte) 2,
                Compression.of(type).build(), TimestampType.CREATE_TIME, 100L, -1L, 7L, (short) 3, 11, false, 5);
            builder.append(TIME, "k0".getBytes(), "v0".getBytes(), new Header[] {
                new RecordHeader("h", "x".getBytes()), new RecordHeader("n\u00e4me", null) });
            builder.append(TIME + 5000, (ByteBuffer) null, (ByteBuffer) null, new Header[0]);
            builder.append(TIME - 70000, new byte[0], new byte[0], new Header[0]);
            byte[] steps = new byte[plain ? 600 : 150_000];
            for (int i = 0; i < steps.length; i++) steps[i] = (byte) (i >> 9);
            builder.append(TIME + 1, "steps".getBytes(), steps, new Header[0]);
            for (int i = 0; i < 100; i++) {
                builder.append(TIME + 2 + i, ("key-" + i).getBytes(), ("value-" + i).getBytes(), new Header[0]);
            }
            write(directory.resolve("java-" + (plain ? "uncompressed" : type.name) + ".bin"), builder.build());
        }
        for (ControlRecordType type : new ControlRecordType[] {ControlRecordType.COMMIT, ControlRecordType.ABORT}) {
            write(directory.resolve("java-" + type.name().toLowerCase() + "-marker.bin"),
                MemoryRecords.withEndTransactionMarker(0, TIME, -1, 7L, (short) 3, new EndTransactionMarker(type, 9)));
        }
    }

    private static void write(Path path, MemoryRecords records) throws Exception {
        Files.write(path, bytesOf(records));
    }

    private static byte[] bytesOf(MemoryRecords records) {
        ByteBuffer buffer = records.buffer().duplicate();
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        return bytes;
    }

    private static void validate() throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = in.readLine()) != null; ) {
            String answer;
            try {
                answer = store(line.split(" "));
            } catch (RecordValidationException e) {
                answer = Errors.forException(e.invalidException()) + "|" + e.recordErrors();
            } catch (Throwable e) {
                answer = Errors.forException(e) + "|" + e;
            }
            System.out.println(answer.replace('\n', ' '));
        }
    }

    private static String store(String[] fields) {
        MemoryRecords records = MemoryRecords.readableRecords(ByteBuffer.wrap(HEX.parseHex(fields[7])));
        ProduceRequest.validateRecords(Short.parseShort(fields[0]), records);
        CompressionType source = CompressionType.NONE;
        // What UnifiedLog.analyzeAndValidateRecords does between the two.
        for (MutableRecordBatch batch : records.batches()) {
            if (batch.baseOffset() != 0) throw new InvalidRecordException("base offset");
            if (!batch.isValid()) throw new CorruptRecordException("CRC");
            source = batch.compressionType();
        }
        Compression target = fields[5].equals("producer") ? Compression.of(source).build()
            : Compression.of(fields[5].equals("uncompressed") ? "none" : fields[5]).build();
        LogValidator validator = new LogValidator(records, new TopicPartition("t", 0), at(Long.parseLong(fields[6])), source,
            target, fields[4].equals("1"), (byte) 2,
            fields[1].equals("1") ? TimestampType.LOG_APPEND_TIME : TimestampType.CREATE_TIME,
            Long.parseLong(fields[2]), Long.parseLong(fields[3]), 0, AppendOrigin.CLIENT);
        LogValidator.ValidationResult result = validator.validateMessagesAndAssignOffsets(PrimitiveRef.ofLong(0), NO_METRICS,
            BufferSupplier.NO_CACHING);
        return "NONE|" + result.maxTimestampMs() + "|" + HEX.formatHex(bytesOf(result.validatedRecords())) + "|"
            + describe(MemoryRecords.readableRecords(ByteBuffer.wrap(HEX.parseHex(fields[7]))));
    }

    /** "offset,timestamp,key,value,header=value,...;" for each record, in hex; "null" for what is not there. */
    private static String describe(MemoryRecords records) {
        StringBuilder text = new StringBuilder();
        for (Record record : records.records()) {
            text.append(record.offset()).append(',').append(record.timestamp());
            text.append(',').append(hexOf(record.key())).append(',').append(hexOf(record.value()));
            for (Header header : record.headers()) {
                byte[] value = header.value();
                text.append(',').append(HEX.formatHex(header.key().getBytes(java.nio.charset.StandardCharsets.UTF_8)));
                text.append('=').append(value == null ? "null" : HEX.formatHex(value));
            }
            text.append(';');
        }
        return text.toString();
    }

    private static String hexOf(ByteBuffer buffer) {
        if (buffer == null) return "null";
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        return HEX.formatHex(bytes);
    }

    private static Time at(long nowMs) {
        return new Time() {
            public long milliseconds() {
                return nowMs;
            }

            public long nanoseconds() {
                return 0;
            }

            public void sleep(long ms) {
            }
        };
    }

    private static final LogValidator.MetricsRecorder NO_METRICS = new LogValidator.MetricsRecorder() {
        public void recordInvalidMagic() {
        }

        public void recordInvalidOffset() {
        }

        public void recordInvalidSequence() {
        }

        public void recordInvalidChecksums() {
        }

        public void recordNoKeyCompactedTopic() {
        }
    };
}
