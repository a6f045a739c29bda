import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Sends records with Kafka's own client. Arguments: bootstrap servers and compression. Standard
 * input: the number of records, then of each its topic, its key, its value, the number of its
 * headers, and of each of these name and value; byte strings begin with their length, -1 for none.
 */
public final class RecordProducer {
    public static void main(String[] arguments) throws Exception {
        Map<String, Object> config = Map.of(
                "bootstrap.servers", arguments[0],
                "compression.type", arguments[1],
                "max.request.size", 80 << 20);
        ByteArraySerializer bytes = new ByteArraySerializer();
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (DataInputStream in = new DataInputStream(new BufferedInputStream(System.in));
                KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(config, bytes, bytes)) {
            for (int left = in.readInt(); left > 0; left--) {
                sent.add(producer.send(readRecord(in)));
            }
        }
        for (Future<RecordMetadata> delivery : sent) {
            delivery.get();
        }
    }

    private static ProducerRecord<byte[], byte[]> readRecord(DataInputStream in)
            throws IOException {
        ProducerRecord<byte[], byte[]> record =
                new ProducerRecord<>(readText(in), readBytes(in), readBytes(in));
        for (int left = in.readInt(); left > 0; left--) {
            record.headers().add(readText(in), readBytes(in));
        }
        return record;
    }

    private static String readText(DataInputStream in) throws IOException {
        return new String(readBytes(in), "UTF-8");
    }

    private static byte[] readBytes(DataInputStream in) throws IOException {
        int length = in.readInt();
        return length < 0 ? null : in.readNBytes(length);
    }
}
